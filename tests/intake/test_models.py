"""What the database itself refuses, and who sees what."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.intake import rules
from onboarding.intake.models import Dossier, NameChoice
from onboarding.provisioning.models import Deployment
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator, Organization
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory, RemarkFactory
from tests.intake.conftest import staff

S = Dossier.Status


def refuses(change: Callable[[], object], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        change()


@pytest.mark.django_db
class TestConstraints:
    @pytest.mark.parametrize("status", Dossier.OPEN)
    def test_one_open_dossier_per_organization(self, status: str, commune: Organization) -> None:
        DossierFactory.create(organization=commune, sent=True)
        trait = {"sent" if status == S.SUBMITTED else str(status): True}
        refuses(
            lambda: DossierFactory.create(organization=commune, contents=False, **trait),
            "dossier_one_open_per_organization",
        )

    def test_drafts_and_closed_dossiers_do_not_count(self, commune: Organization) -> None:
        DossierFactory.create(organization=commune, sent=True)
        for trait in ("rejected", "approved", "withdrawn", "expired", "revoked"):
            DossierFactory.create(organization=commune, **{trait: True})
        DossierFactory.create(organization=commune)
        DossierFactory.create(organization=commune)
        assert Dossier.objects.open().count() == 1

    def test_one_draft_per_person_and_organization(self, commune: Organization, agent: User) -> None:
        DossierFactory.create(organization=commune, author=agent)
        refuses(lambda: DossierFactory.create(organization=commune, author=agent), "dossier_one_draft_per_author")

    @pytest.mark.parametrize(
        "changes",
        [
            {"status": S.APPROVED},
            {"status": S.REJECTED, "decided_at": timezone.now()},
            {"decided_at": timezone.now()},
        ],
    )
    def test_a_decision_is_signed_and_dated_and_only_a_decision_is(self, changes: dict[str, Any]) -> None:
        DossierFactory.create(in_review=True)
        refuses(lambda: Dossier.objects.update(**changes), "dossier_decision_is_signed")

    def test_only_an_approved_dossier_has_a_deployment(self, commune: Organization, anct: Operator) -> None:
        deployment = Deployment.objects.create(
            organization=commune, operator=anct, domain="a.fr", zone_kind="registered", welcome_email="a@b.example"
        )
        DossierFactory.create(in_review=True, organization=commune)
        refuses(lambda: Dossier.objects.update(deployment=deployment), "dossier_deployment_only_if_approved")

    def test_a_dossier_in_review_is_somebodys(self) -> None:
        DossierFactory.create(in_review=True)
        refuses(lambda: Dossier.objects.update(assignee=None), "dossier_review_has_an_assignee")

    @pytest.mark.parametrize("field", ["operator", "submitted_at", "verdict"])
    def test_what_is_sent_is_routed_dated_and_judged(self, field: str) -> None:
        DossierFactory.create(sent=True)
        refuses(lambda: Dossier.objects.update(**{field: None}), "dossier_sent_is_routed_and_dated")

    def test_two_people_are_two(self) -> None:
        DossierFactory.create(approved=True)
        refuses(lambda: Dossier.objects.update(four_eyed=True), "dossier_four_eyes_are_two_people")

    def test_a_wish_and_three_alternatives_of_distinct_ranks(self) -> None:
        dossier = DossierFactory.create()
        refuses(lambda: NameChoiceFactory.create(dossier=dossier, rank=0), "name_choice_one_per_rank")
        refuses(lambda: NameChoiceFactory.create(dossier=dossier, rank=4), "name_choice_three_alternatives")
        assert NameChoice.objects.count() == 1

    def test_a_correction_points_at_a_field(self) -> None:
        refuses(lambda: RemarkFactory.create(fields=[]), "remark_names_a_field")


def test_no_business_fact_stands_on_both_a_dossier_and_a_deployment() -> None:
    # Identifiers and times are not facts (ruling 15).
    apart = {"id", "organization", "operator", "created_at", "events"}
    mine = {field.name for field in Dossier._meta.get_fields()}  # noqa: SLF001 - Django's own word for it
    theirs = {field.name for field in Deployment._meta.get_fields()}  # noqa: SLF001 - idem
    assert mine & theirs <= apart


REQUESTER_SEES = set(S.values)
SENT = {S.SUBMITTED, S.IN_REVIEW, S.NEEDS_CHANGES, S.SECOND_APPROVAL, S.REJECTED, S.WITHDRAWN}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("author", REQUESTER_SEES),
        ("colleague", REQUESTER_SEES),
        ("reader of the commune", REQUESTER_SEES),
        ("suspended colleague", set()),
        ("former colleague", set()),
        ("stranger", set()),
        ("anonymous", set()),
        ("national instructor", SENT | {S.APPROVED, S.REVOKED}),
        ("national reader", SENT | {S.APPROVED, S.REVOKED}),
        ("former national", set()),
        ("same departement", SENT),
        ("other departement", set()),
        ("routed operator", SENT | {S.APPROVED, S.REVOKED}),
    ],
)
def test_who_sees_which_states(who: str, seen: set[str], commune: Organization, agent: User, anct: Operator) -> None:
    routed = OperatorFactory.create(departments=["01"])
    traits = [{}, {"sent": True}, {"withdrawn": True}, {"expired": True}]
    traits += [{state: True} for state in ("rejected", "approved", "revoked")]
    dossiers = [DossierFactory.create(organization=commune, author=agent, operator=routed, **trait) for trait in traits]
    found = {state for dossier in dossiers for state in [dossier.status]}
    people: dict[str, Callable[[], User | AnonymousUser]] = {
        "author": lambda: agent,
        "colleague": lambda: MembershipFactory.create(organization=commune).user,
        "reader of the commune": lambda: (
            MembershipFactory.create(organization=commune, role=Membership.Role.READER).user
        ),
        "suspended colleague": lambda: MembershipFactory.create(organization=commune, suspended=True).user,
        "former colleague": lambda: MembershipFactory.create(organization=commune, ended=True).user,
        "stranger": UserFactory.create,
        "anonymous": AnonymousUser,
        "national instructor": lambda: staff(anct, OperatorRole.Role.INSTRUCTOR),
        "national reader": lambda: staff(anct, OperatorRole.Role.READER),
        "former national": lambda: _former(anct),
        "same departement": lambda: staff(OperatorFactory.create(departments=["56", "35"]), "instructor"),
        "other departement": lambda: staff(OperatorFactory.create(departments=["35"]), "instructor"),
        "routed operator": lambda: staff(routed, "instructor"),
    }
    person = people[who]()
    states = {dossier.status for dossier in Dossier.objects.visible_to(person)}
    for status in (S.IN_REVIEW, S.NEEDS_CHANGES, S.SECOND_APPROVAL):
        found.add(status)
        Dossier.objects.filter(status__in=Dossier.OPEN).update(status=status, assignee=agent)
        states |= {dossier.status for dossier in Dossier.objects.visible_to(person)}
    assert found == set(S.values)
    assert states == seen
    if isinstance(person, User):
        for dossier in Dossier.objects.select_related("organization"):
            followed = Dossier.objects.followed_by(person).filter(pk=dossier.pk).exists()
            assert rules.in_scope(dossier, person) == followed


def _former(operator: Operator) -> User:
    user = staff(operator, OperatorRole.Role.LEAD)
    user.operator_roles.update(active=False)
    return user
