"""R36: what each role sees of a dossier in each state, compared with the table written here by hand."""

import re

import pytest

from onboarding.intake import checklist
from onboarding.intake.models import Dossier
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal import workflow as journal
from tests.factories.accounts import MembershipFactory
from tests.intake.browsing import page, sign_in
from tests.intake.conftest import staff
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status
REVIEW = {"refuser", "demander-des-corrections"}
# The acts offered, by state: to whoever instructs the dossier, to another instructor, to a lead. A reader has none.
OFFERED: dict[str, tuple[set[str], set[str], set[str]]] = {
    S.SUBMITTED: ({"prendre"}, {"prendre"}, {"prendre"}),
    S.IN_REVIEW: (REVIEW | {"accepter", "confier", "rendre"}, {"confier"}, REVIEW | {"confier", "rendre"}),
    S.SECOND_APPROVAL: (REVIEW, set(), REVIEW | {"confirmer"}),
    S.NEEDS_CHANGES: (set(), set(), set()),
    S.REJECTED: (set(), set(), set()),
    S.WITHDRAWN: (set(), set(), set()),
}
ACTS = {"prendre", "rendre", "confier", "accepter", "confirmer", *REVIEW}
SECRET = "Appelé le préfet : à ne pas écrire à la commune."


@pytest.mark.parametrize("status", sorted(OFFERED))
def test_r36_each_role_sees_what_the_table_says(  # noqa: PLR0917 - the people
    status: str, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
) -> None:
    dossier = situation(status, commune, agent, anct, instructor)
    if status in Dossier.OPEN:
        checklist.refresh(dossier)
    journal.record("dossier", dossier.pk, "check_overridden", by=instructor, payload={"check": "holds"}, comment=SECRET)
    assignee, other, leading = OFFERED[status]
    people = {
        "assignee": (instructor, assignee),
        "colleague": (staff(anct, OperatorRole.Role.INSTRUCTOR), other),
        "lead": (lead, leading),
        "reader": (staff(anct, OperatorRole.Role.READER), set[str]()),
    }
    for role, (user, expected) in people.items():
        html = page(sign_in(user), f"/instruction/{dossier.pk}/")
        offered = set(re.findall(rf"/instruction/{dossier.pk}/([a-z-]+)/", html)) & ACTS
        assert offered == expected, role
        assert ("Vérifications" in html) == (status in Dossier.OPEN), role
        assert SECRET in html, role
        assert dossier.requester_phone in html, role

    insider = staff(anct, OperatorRole.Role.LEAD)
    MembershipFactory.create(user=insider, organization=commune, state=Membership.State.ACTIVE)
    html = page(sign_in(insider), f"/instruction/{dossier.pk}/")
    assert not set(re.findall(rf"/instruction/{dossier.pk}/([a-z-]+)/", html)) & ACTS

    html = page(sign_in(agent), f"/demandes/{dossier.pk}/")
    assert SECRET not in html
    assert "Vérifications" not in html
    assert "/instruction/" not in html
    assert instructor.email not in html  # its name is the contact's
