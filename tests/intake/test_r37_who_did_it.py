"""R37. Upstream signs a change with another's name. Here an event is signed by whoever is signed in, always.

There is no impersonation: nobody acts under another's name. Preparing a dossier for a commune is the one act on
somebody's behalf, and it is signed by the operator's person, with the commune beside it.
"""

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.house import ALL
from tests.intake.browsing import decide, form_of, page, sign_in
from tests.intake.test_journey import ask

pytestmark = pytest.mark.django_db
WHO = ("by", "actor", "user", "author", "on_behalf_of", "decided_by", "as", "impersonate", "_impersonate", "su")


class Liar(Client):
    """A browser whose every form claims to be sent by somebody else."""

    claimed: User

    def post(self, path: str, data: Any = None, **extra: Any) -> Any:  # type: ignore[override]  # the client's own
        """Send the form with the claim in its fields, in the query and in the headers."""
        claim = dict.fromkeys(WHO, str(self.claimed.pk))
        separator = "&" if "?" in path else "?"
        query = "&".join(f"{name}={self.claimed.pk}" for name in WHO)
        headers = {"X-Remote-User": self.claimed.email, "Remote-User": self.claimed.email}
        return super().post(f"{path}{separator}{query}", {**claim, **(data or {})}, headers=headers, **extra)


def lying(user: User, claimed: User) -> Liar:
    """Return the browser of somebody who claims to be another, in its session too."""
    signed = sign_in(user)
    client = Liar()
    client.cookies, client.claimed = signed.cookies, claimed
    session = client.session
    session.update({name: str(claimed.pk) for name in ("_impersonate", "impersonate", "hijack_history", "real_user")})
    session.save()
    return client


def test_r37_each_event_is_signed_by_whoever_is_signed_in_whatever_a_form_claims(
    commune: Organization,
    anct: Operator,
    agent: User,
    instructor: User,
    lead: User,
) -> None:
    ask(lying(agent, lead), commune)
    dossier = Dossier.objects.get()
    assert dossier.author == agent
    asked = list(Event.objects.about("dossier", dossier.pk).values_list("kind", "actor"))
    assert {kind for kind, _ in asked} >= {"create", "save", "submit"}
    assert {actor for _, actor in asked} == {agent.pk}

    desk, at = lying(instructor, agent), f"/instruction/{dossier.pk}/"
    assert desk.post(f"{at}prendre/", {"version": str(dossier.version)}).status_code == 302
    form = form_of(page(desk, f"{at}accepter/"))
    assert decide(desk, f"{at}accepter/", {**form, "rank": "0"}).status_code == 302
    decided = Event.objects.about("dossier", dossier.pk).exclude(kind__in={kind for kind, _ in asked})
    assert {event.kind for event in decided} >= {"take", "approve"}
    assert {event.actor for event in decided} == {instructor.pk}
    dossier.refresh_from_db()
    assert (dossier.decided_by, dossier.assignee) == (instructor, instructor)


def test_r37_what_is_prepared_for_a_commune_is_signed_by_who_prepares_it(
    commune: Organization,
    anct: Operator,
    instructor: User,
    lead: User,
) -> None:
    desk = lying(instructor, lead)
    url = reverse("desk:prepare")
    assert desk.post(url, {"commune": commune.code}).status_code == 302
    told = Event.objects.get(kind="prepare")
    assert told.actor == instructor.pk
    assert told.payload["on_behalf_of"] == commune.code
    assert {event.actor for event in Event.objects.about("dossier", told.subject)} == {instructor.pk}


def test_r37_nobody_acts_under_another_s_name() -> None:
    """Were impersonation added, its events would have to say the real actor: this test is then to be written again."""
    telling = re.compile(r"impersonat|hijack|login_?as|switch_?user|become")
    assert not [name for name in ALL if telling.search(name)]
    assert not [name for name in [*settings.INSTALLED_APPS, *settings.MIDDLEWARE] if telling.search(name)]
