"""Two people at once: one wins, the other is told."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from onboarding.intake import contents, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.moves import Refusal
from onboarding.intake.workflow import Point
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory
from tests.intake.conftest import staff
from tests.intake.situations import situation

S = Dossier.Status
POINTS = [Point("mailbox_list", ("mailboxes",), "Ajoutez l’accueil.")]


def together(*calls: Callable[[], object]) -> list[object]:
    """Run the calls at the same moment, each on its connection, and return what each gave or raised."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def work(index: int, call: Callable[[], object]) -> None:
        try:
            barrier.wait()
            answers[index] = call()  # type: ignore[call-overload]
        except Refusal as refusal:
            answers[index] = refusal  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(answers)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_operators_take_and_one_has_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = situation(S.SUBMITTED, commune, agent, anct, instructor)
        answers = together(
            lambda: workflow.take(dossier, by=instructor, version=1), lambda: workflow.take(dossier, by=lead, version=1)
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "WrongState"]
        assert Event.objects.filter(kind="take").count() == 1
        assert Notice.objects.count() == 1

    def test_one_accepts_while_another_refuses(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        answers = together(
            lambda: workflow.approve(dossier, by=instructor, version=1),
            lambda: workflow.reject(dossier, ["other"], by=lead, version=1, message="Non."),
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "WrongState"]
        assert Event.objects.filter(kind__in=["approve", "reject"]).count() == 1
        now = Dossier.objects.get()
        assert (now.deployment is not None) == (now.status == S.APPROVED)

    def test_the_same_dossier_sent_twice_is_sent_once(self, commune: Organization, agent: User, anct: Operator) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        answers = together(*[lambda: workflow.submit(dossier, by=agent, version=1)] * 2)
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "WrongState"]
        assert Notice.objects.filter(kind="dossier_received").count() == 1

    def test_two_colleagues_send_two_dossiers_and_one_is_open(
        self, commune: Organization, agent: User, anct: Operator
    ) -> None:
        colleague = MembershipFactory.create(organization=commune).user
        mine, theirs = (DossierFactory.create(organization=commune, author=person) for person in (agent, colleague))
        answers = together(
            lambda: workflow.submit(mine, by=agent, version=1), lambda: workflow.submit(theirs, by=colleague, version=1)
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "GuardFailed"]
        assert Dossier.objects.open().count() == 1

    def test_two_communes_want_one_name_and_one_has_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        first = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        other = CommuneFactory.create(name="La Celle", department__code="56")
        second = DossierFactory.create(in_review=True, organization=other, operator=anct, assignee=instructor)
        MembershipFactory.create(user=second.author, organization=other)
        for dossier in (first, second):
            dossier.names.update(fqdn="commun-exemple.fr")
        Dossier.objects.update(family="existing", dns_manager="commune", mail_in_use=False)
        check = "Les deux communes ont montré le même contrat."
        answers = together(
            lambda: workflow.approve(Dossier.objects.get(pk=first.pk), by=instructor, version=1, check=check),
            lambda: workflow.approve(Dossier.objects.get(pk=second.pk), by=instructor, version=1, check=check),
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "GuardFailed"]
        assert Dossier.objects.filter(deployment__isnull=False).count() == 1

    def test_the_same_person_opens_two_tabs_and_has_one_draft(self, commune: Organization, agent: User) -> None:
        first, second = together(*[lambda: workflow.create(commune, by=agent)] * 2)
        assert first == second
        assert Dossier.objects.count() == 1

    def test_r06_of_twenty_decisions_at_once_one_wins(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        calls: list[Callable[[], object]] = [
            lambda: workflow.approve(dossier, by=instructor, version=1),
            lambda: workflow.reject(dossier, ["other"], by=lead, version=1, message="Non."),
            lambda: workflow.request_changes(dossier, POINTS, by=instructor, version=1),
            lambda: workflow.withdraw(dossier, by=agent, version=1),
        ]
        answers = together(*calls * 5)
        assert [type(answer).__name__ for answer in answers].count("Dossier") == 1
        assert {type(answer).__name__ for answer in answers} <= {"Dossier", "WrongState", "Stale"}
        assert Event.objects.filter(stream="dossier").count() == 1
        now = Dossier.objects.get()
        assert now.version == 2
        assert (now.deployment is not None) == (now.status == S.APPROVED)

    def test_two_leads_confirm_and_one_deployment_starts(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = situation(S.SECOND_APPROVAL, commune, agent, anct, instructor)
        other = staff(anct, OperatorRole.Role.LEAD)
        answers = together(*[lambda who=who: workflow.approve(dossier, by=who, version=1) for who in (lead, other)])
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "WrongState"]
        assert Event.objects.filter(kind="approve").count() == 1
        assert Event.objects.filter(stream="deployment", kind="started").count() == 1

    def test_it_is_accepted_or_withdrawn(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        answers = together(
            lambda: workflow.approve(dossier, by=instructor, version=1),
            lambda: workflow.withdraw(dossier, by=agent, version=1),
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "WrongState"]
        now = Dossier.objects.get()
        assert (now.deployment is not None) == (now.status == S.APPROVED)

    def test_a_save_and_the_sending_at_once_never_send_what_was_not_seen(
        self, commune: Organization, agent: User, anct: Operator
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        values = contents.read(dossier, 4) | {"storage_gb": 7}
        answers = together(
            lambda: workflow.save_step(dossier, 4, values, by=agent, version=1),
            lambda: workflow.submit(dossier, by=agent, version=1),
        )
        assert [type(answer).__name__ for answer in answers].count("Dossier") == 1
        now = Dossier.objects.get()
        assert (now.status, now.storage_gb) in {(S.DRAFT, 7), (S.SUBMITTED, 10)}

    def test_two_leads_reopen_and_it_is_reopened_once(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = situation(S.REJECTED, commune, agent, anct, instructor)
        other = staff(anct, OperatorRole.Role.LEAD)
        answers = together(
            *[lambda who=who: workflow.reopen(dossier, by=who, version=1, reason="Oui.") for who in (lead, other)]
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Dossier", "WrongState"]
        assert Event.objects.filter(kind="reopen").count() == 1
