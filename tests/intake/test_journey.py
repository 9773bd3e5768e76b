"""From the first click to the decision, through the pages only."""

import re

import pytest
from django.test import Client

from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.notices.models import Notice
from tests.intake.browsing import decide, follow, form_of, page, said, sign_in, version


def ask(client: Client, commune: Organization) -> str:
    """Fill the five steps and send; return the address of the dossier."""
    first = client.post("/demandes/nouvelle/", {"commune": commune.code})["Location"]
    second = follow(
        client,
        first,
        requester_given_name="Camille",
        requester_family_name="Dupont",
        requester_function="secretaire",
        requester_email="camille@ailleurs.example",
        requester_phone="02 97 00 00 00",
    )
    third = follow(client, second, family="collectivite", name="rochefort-en-terre.collectivite.fr")
    fourth = follow(
        client,
        third,
        **{
            "rows": "1",
            "mailboxes-0-kind": "personal",
            "mailboxes-0-given_name": "Camille",
            "mailboxes-0-family_name": "Dupont",
            "mailboxes-0-recovery_email": "camille@ailleurs.example",
            "mailboxes-0-administrator": "on",
        },
    )
    fifth = follow(client, fourth, storage_gb="10")
    return follow(client, fifth, action="submit", declares_exact="on", declares_mandate="on", accepts_terms="on")


@pytest.mark.django_db
def test_a_commune_asks_and_an_operator_accepts(
    commune: Organization, anct: Operator, agent: User, instructor: User
) -> None:
    town_hall, desk = sign_in(agent), sign_in(instructor)
    url = ask(town_hall, commune)
    dossier = Dossier.objects.get()
    assert dossier.status == "submitted"
    assert dossier.operator == anct
    assert "Transmise" in town_hall.get(url).content.decode()

    at = f"/instruction/{dossier.pk}/"
    assert dossier.reference in desk.get("/instruction/").content.decode()
    assert desk.post(f"{at}prendre/", {"version": version(desk, at)}).status_code == 302
    form = {"version": version(desk, f"{at}accepter/"), "rank": "0"}
    assert decide(desk, f"{at}accepter/", form).status_code == 302

    dossier.refresh_from_db()
    assert dossier.status == "approved"
    assert dossier.decided_by == instructor
    assert dossier.deployment is not None
    assert dossier.deployment.domain == "rochefort-en-terre.collectivite.fr"
    assert dossier.storage_gb == 10
    assert commune in anct.organizations.all()
    assert agent.memberships.get().state == "active"
    assert set(Notice.objects.values_list("kind", "recipient")) == {
        ("dossier_received", "camille@ailleurs.example"),
        ("dossier_new", "anct@anct.example"),
        ("dossier_taken", "camille@ailleurs.example"),
        ("dossier_approved", "camille@ailleurs.example"),
    }


def pressed(client: Client, url: str, button: str, **typed: str) -> str:
    """Send the form of a page as a browser without scripts does: what it holds, what is typed, the button pressed."""
    text = page(client, url)
    main = text[text.index("<main") : text.index("</main")]
    name, _, value = button.partition("=")
    assert re.search(rf'<button[^>]*name="{name}"\s+value="{value}"', main), f"{url} has no button {button}"
    assert not re.search(r"\son[a-z]+=", main), "a script in a tag"
    form = form_of(text)
    unknown = {field for field in typed if f'name="{field}"' not in main}
    assert not unknown, f"{url} has no field {unknown}"
    response = client.post(url, {**form, **typed, name: value})
    assert response.status_code in {200, 302}, said(response.content.decode())[:2000]
    return str(response["Location"]) if response.status_code == 302 else url


@pytest.mark.django_db
def test_r41_every_act_of_the_journey_is_a_button_of_a_page_without_scripts(
    commune: Organization, anct: Operator, agent: User, instructor: User
) -> None:
    town_hall, desk = sign_in(agent), sign_in(instructor)
    assert 'type="submit"' in page(town_hall, f"/demandes/nouvelle/?commune={commune.code}")
    first = town_hall.post("/demandes/nouvelle/", {"commune": commune.code})["Location"]
    second = pressed(
        town_hall, first, "action=next", requester_given_name="Camille", requester_family_name="Dupont",
        requester_function="secretaire", requester_email="camille@ailleurs.example", requester_phone="02 97 00 00 00",
    )  # fmt: skip
    checked = pressed(
        town_hall, second, "action=check", family="collectivite", name="rochefort-en-terre.collectivite.fr"
    )
    third = pressed(town_hall, checked.partition("#")[0], "action=next")
    added = pressed(town_hall, third, "action=add-shared-mairie").partition("#")[0]
    fourth = pressed(town_hall, added, "action=next", **{"mailboxes-0-recovery_email": "camille@ailleurs.example"})
    fifth = pressed(town_hall, fourth, "action=next", storage_gb="10")
    declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
    pressed(town_hall, fifth, "action=submit", **declared)
    dossier = Dossier.objects.get()
    assert dossier.status == "submitted"
    assert set(dossier.mailboxes.values_list("local_part", flat=True)) == {"camille.dupont", "mairie"}

    listed = page(desk, "/instruction/?statut=submitted&tri=nom")
    assert dossier.reference in listed
    assert re.search(r'<form[^>]*method="get"', listed), "lists are filtered by the server"
    at = f"/instruction/{dossier.pk}/"
    assert f'action="{at}prendre/"' in page(desk, at)
    desk.post(f"{at}prendre/", {"version": version(desk, at)})
    shown = desk.post(f"{at}accepter/", {**form_of(page(desk, f"{at}accepter/")), "rank": "0", "etape": "apercu"})
    assert '<button class="fr-btn" type="submit" name="etape" value="envoi">' in shown.content.decode()
    assert desk.post(f"{at}accepter/", {**form_of(shown.content.decode()), "etape": "envoi"}).status_code == 302
    dossier.refresh_from_db()
    assert dossier.status == "approved"


@pytest.mark.django_db
def test_r41_withdrawing_is_confirmed_by_a_page(commune: Organization, anct: Operator, agent: User) -> None:
    town_hall = sign_in(agent)
    ask(town_hall, commune)
    dossier = Dossier.objects.get()
    url = f"/demandes/{dossier.pk}/retirer/"
    assert f'href="{url}"' in page(town_hall, f"/demandes/{dossier.pk}/")
    assert town_hall.post(url, form_of(page(town_hall, url))).status_code == 302
    dossier.refresh_from_db()
    assert dossier.status == "withdrawn"
