"""Writing, publishing and accepting: what is published or accepted never changes."""

import datetime as dt
import threading
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from onboarding.agreements import texts, workflow
from onboarding.agreements.digests import digest
from onboarding.agreements.models import Acceptance, PriceLine, Text
from onboarding.agreements.workflow import AgreementRefused, Draft, Price
from suite.accounts.mandates import Mandate
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.journal.workflow import verify
from tests.factories.agreements import TextFactory
from tests.factories.directory import OperatorFactory

pytestmark = pytest.mark.django_db
TODAY = dt.date(2026, 11, 23)
CONVENTION = Draft("Convention", "## Article 1\n\nNouveau texte.", "Tout change.", 60)


def published(operator: Operator, lead: User, draft: Draft = CONVENTION, kind: str = "convention") -> Text:
    text = workflow.open_draft(operator, kind, by=lead)
    text = workflow.save_draft(text, draft, revision=text.revision, by=lead)
    return workflow.publish(text, revision=text.revision, effective_on=timezone.localdate(), by=lead)


class TestPublishing:
    def test_the_shipped_models_cover_the_three_kinds_and_say_they_are_models(self) -> None:
        found = texts.in_force(None)

        assert [one.kind for one in found] == ["prices", "convention", "processing"]
        assert all(one.model_text and one.number == 1 for one in found)
        assert all(one.digest == digest(one.kind, one.title, one.body, one.prices.all()) for one in found)

    def test_a_draft_starts_from_the_text_in_force_and_its_prices(self, operator: Operator, lead: User) -> None:
        draft = workflow.open_draft(operator, "prices", by=lead)

        assert draft.operator == operator
        assert [line.label for line in draft.prices.all()] == [
            line.label for line in texts.in_force(None)[0].prices.all()
        ]
        assert workflow.open_draft(operator, "prices", by=lead) == draft

    def test_an_operator_s_own_text_replaces_the_national_one_for_it_alone(
        self, operator: Operator, lead: User
    ) -> None:
        own = published(operator, lead)

        assert own in texts.in_force(operator)
        assert own not in texts.in_force(OperatorFactory.create())
        assert own.number == 1
        assert published(operator, lead, CONVENTION._replace(body="Encore un autre texte.")).number == 2

    def test_a_version_to_come_does_not_apply_yet(self, operator: Operator) -> None:
        coming = TextFactory.create(operator=operator, coming=True)

        assert coming not in texts.in_force(operator)
        assert coming in texts.in_force(operator, on=coming.effective_on)

    @pytest.mark.parametrize(
        ("draft", "field"),
        [
            (CONVENTION._replace(body=" "), "body"),
            (CONVENTION._replace(changes=""), "changes"),
        ],
    )
    def test_an_incomplete_text_is_not_published(
        self, operator: Operator, lead: User, draft: Draft, field: str
    ) -> None:
        published(operator, lead)
        text = workflow.open_draft(operator, "convention", by=lead)
        text = workflow.save_draft(text, draft, revision=text.revision, by=lead)
        with pytest.raises(AgreementRefused) as refused:
            workflow.publish(text, revision=text.revision, effective_on=timezone.localdate(), by=lead)

        assert refused.value.field == field
        assert not Text.objects.get(pk=text.pk).is_published

    def test_the_same_text_is_no_new_version(self, operator: Operator, lead: User) -> None:
        published(operator, lead)
        with pytest.raises(AgreementRefused, match="exactement"):
            published(operator, lead)

    @pytest.mark.parametrize("days", [-1, 366])
    def test_the_day_is_within_a_year_and_not_past(self, operator: Operator, lead: User, days: int) -> None:
        text = workflow.open_draft(operator, "convention", by=lead)
        day = timezone.localdate() + dt.timedelta(days=days)
        with pytest.raises(AgreementRefused) as refused:
            workflow.publish(text, revision=text.revision, effective_on=day, by=lead)

        assert refused.value.field == "effective_on"

    def test_a_colleague_s_save_is_not_overwritten(self, operator: Operator, lead: User) -> None:
        text = workflow.open_draft(operator, "convention", by=lead)
        workflow.save_draft(text, CONVENTION, revision=text.revision, by=lead)
        with pytest.raises(AgreementRefused) as refused:
            workflow.save_draft(text, CONVENTION._replace(body="Autre."), revision=text.revision, by=lead)

        assert refused.value.http == 409
        assert Text.objects.get(pk=text.pk).body == CONVENTION.body

    def test_each_price_is_part_of_what_is_accepted(self, operator: Operator, lead: User) -> None:
        sheet = Draft(
            "Prix",
            "Nos prix de cette année.",
            "Hausse.",
            60,
            (Price("operator", "Assistance", Decimal(90), "year", ""),),
        )
        first = published(operator, lead, sheet, "prices")
        dearer = sheet._replace(prices=(Price("operator", "Assistance", Decimal(91), "year", ""),))

        assert published(operator, lead, dearer, "prices").digest != first.digest


class TestFixedForEver:
    def test_the_database_refuses_to_change_a_published_text(self) -> None:
        text = TextFactory.create()
        for change in (lambda: Text.objects.filter(pk=text.pk).update(body="Autre"), text.delete):
            with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
                change()

    def test_the_database_refuses_to_change_published_prices(self) -> None:
        sheet = texts.in_force(None)[0]
        line = sheet.prices.first()
        assert line is not None
        for change in (
            lambda: PriceLine.objects.filter(pk=line.pk).update(amount=5),
            line.delete,
            lambda: PriceLine.objects.create(text=sheet, position=9, label="Frais cachés", amount=5),
        ):
            with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
                change()

    def test_the_database_refuses_to_change_an_acceptance(self, commune: Organization, manager: User) -> None:
        acceptance = accepted(commune, manager)[0]
        for change in (
            lambda: Acceptance.objects.filter(pk=acceptance.pk).update(mandate=3),
            lambda: Acceptance.objects.raw("DELETE FROM agreements_acceptance RETURNING id")[0],
        ):
            with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
                change()


def accepted(commune: Organization, by: User, mandate: Mandate = Mandate.PROVED) -> list[Acceptance]:
    operator = texts.operator_of(commune)
    return workflow.accept(
        commune, texts.in_force(operator), by=by, mandate=mandate, function="Maire", operator=operator
    )


class TestAccepting:
    def test_it_bears_the_text_the_person_the_function_the_level_and_the_hash(
        self, commune: Organization, manager: User
    ) -> None:
        done = accepted(commune, manager)

        assert len(done) == 3
        assert {one.digest for one in done} == {one.digest for one in texts.in_force(None)}
        assert {(one.signatory.name, one.signatory.function) for one in done} == {(manager.get_full_name(), "Maire")}
        assert texts.missing(commune) == []
        assert Event.objects.filter(kind="agreement.accepted", actor=manager.pk).count() == 3
        assert verify() == []

    def test_twice_is_once(self, commune: Organization, manager: User) -> None:
        assert accepted(commune, manager) == accepted(commune, manager)
        assert Acceptance.objects.count() == 3

    def test_without_a_mandate_nobody_accepts(self, commune: Organization, manager: User) -> None:
        with pytest.raises(AgreementRefused):
            accepted(commune, manager, Mandate.NONE)
        assert not Acceptance.objects.exists()

    def test_a_text_replaced_meanwhile_is_not_accepted(
        self, commune: Organization, manager: User, operator: Operator
    ) -> None:
        shown = texts.in_force(operator)
        TextFactory.create()
        with pytest.raises(AgreementRefused) as refused:
            workflow.accept(commune, shown, by=manager, mandate=Mandate.PROVED, function="Maire", operator=operator)

        assert refused.value.http == 409
        assert not Acceptance.objects.exists()

    def test_a_new_version_asks_again_and_leaves_the_earlier_one_standing(
        self, commune: Organization, manager: User
    ) -> None:
        accepted(commune, manager)
        text = TextFactory.create()
        standing = texts.standings(commune)[1]

        assert texts.missing(commune) == [text]
        assert standing.earlier is not None
        assert not standing.overdue
        assert texts.never_accepted(commune) == []

    def test_a_weak_mandate_binds_to_prices_and_not_to_the_convention(
        self, commune: Organization, secretary: User
    ) -> None:
        done = accepted(commune, secretary, Mandate.ATTACHED)

        assert [texts.is_firm(one) for one in done] == [True, False, True]

    def test_an_operator_s_check_makes_it_firm(self, commune: Organization, secretary: User, lead: User) -> None:
        convention = accepted(commune, secretary, Mandate.ATTACHED)[1]
        with pytest.raises(AgreementRefused):
            workflow.confirm(convention, by=lead, check="ok")
        workflow.confirm(convention, by=lead, check="Appel à la mairie ce matin.")
        workflow.confirm(Acceptance.objects.get(pk=convention.pk), by=lead, check="Appel à la mairie ce matin.")

        assert texts.is_firm(Acceptance.objects.get(pk=convention.pk))
        assert Event.objects.filter(kind="agreement.confirmed").count() == 1

    def test_nobody_confirms_its_own_acceptance(self, commune: Organization, secretary: User) -> None:
        convention = accepted(commune, secretary, Mandate.ATTACHED)[1]
        with pytest.raises(AgreementRefused, match="collègue"):
            workflow.confirm(convention, by=secretary, check="Je me connais bien.")

    def test_the_same_person_accepts_again_with_a_better_mandate(self, commune: Organization, secretary: User) -> None:
        accepted(commune, secretary, Mandate.ATTACHED)
        accepted(commune, secretary, Mandate.PROVED)
        standing = texts.standings(commune)[1]

        assert standing.acceptance is not None
        assert not standing.to_confirm


@pytest.mark.django_db(transaction=True)
def test_of_two_leads_who_publish_at_once_one_does(operator: Operator, lead: User) -> None:
    text = workflow.open_draft(operator, "convention", by=lead)
    text = workflow.save_draft(text, CONVENTION, revision=text.revision, by=lead)
    gate, outcomes = threading.Barrier(2), []

    def act() -> None:
        gate.wait()
        try:
            workflow.publish(text, revision=text.revision, effective_on=timezone.localdate(), by=lead)
            outcomes.append("done")
        except AgreementRefused as refused:
            outcomes.append(str(refused.http))
        finally:
            connection.close()

    threads = [threading.Thread(target=act) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(outcomes) == ["409", "done"]
    assert Text.objects.published().filter(operator=operator).count() == 1
