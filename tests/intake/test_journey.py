"""From the first click to the decision, through the pages only."""

import pytest
from django.test import Client

from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.notices.models import Notice
from tests.intake.browsing import decide, follow, sign_in, version


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
