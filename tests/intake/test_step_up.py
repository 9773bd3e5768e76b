"""A decision whose second factor has lapsed: nothing is decided, and nothing typed is lost."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from tests.accounts.elevation import elevate
from tests.factories.intake import DossierFactory
from tests.intake.browsing import decide, page, sign_in, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def dossier(commune: Organization, anct: Operator, instructor: User) -> Dossier:
    return DossierFactory.create(organization=commune, operator=anct, in_review=True, assignee=instructor)


def test_a_refusal_typed_too_long_comes_back_and_is_sent_once(dossier: Dossier, instructor: User) -> None:
    url = reverse("desk:reject", args=[dossier.pk])
    client = sign_in(instructor)
    typed = {
        "version": version(client, url),
        "reasons": ["not_eligible"],
        "message": "Bonjour,\r\n« L’adresse » manque <ici> & là.",
    }
    elevate(client, ago=601)

    asked = client.post(url, typed)
    assert asked.status_code == 403
    assert "conservé une heure" in asked.text
    dossier.refresh_from_db()
    assert dossier.status == Dossier.Status.IN_REVIEW

    link = re.search(r'href="(/connexion/proconnect/[^"]+)"', asked.text)
    assert link is not None
    landing = parse_qs(urlsplit(unescape(link[1])).query)["next"][0]
    elevate(client)
    waiting = page(client, landing)
    assert f'action="{url}"' in waiting
    hidden = {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', waiting)
        if name in typed
    }
    assert hidden["message"] == typed["message"]
    assert (hidden["reasons"], hidden["version"]) == ("not_eligible", typed["version"])
    return_code = decide(client, url, hidden).status_code
    dossier.refresh_from_db()
    assert (return_code, dossier.status) == (302, Dossier.Status.REJECTED)
    assert typed["message"] not in client.get(landing, follow=True).text


@pytest.mark.parametrize("name", ["desk:approve", "desk:reject"])
def test_a_decision_asks_for_a_second_factor(dossier: Dossier, instructor: User, name: str) -> None:
    client = sign_in(instructor)
    elevate(client, ago=601)
    assert "Confirmez que c’est bien vous" in page(client, reverse(name, args=[dossier.pk]), 403)


def test_who_may_not_decide_is_told_so_and_not_asked(dossier: Dossier, stranger: User) -> None:
    client = sign_in(stranger)
    elevate(client, ago=601)
    assert "Confirmez" not in page(client, reverse("desk:approve", args=[dossier.pk]), 403)
