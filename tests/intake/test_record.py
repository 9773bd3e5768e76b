"""The dossier as a record, and the delays that the journal tells."""

import json
from datetime import datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from onboarding.intake import delays, record
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import Claim, UsualDelay
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal import workflow as journal
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory, RemarkFactory
from tests.intake.browsing import page, said, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent, justification="<b>Un</b> nom & « d’usage » ✓")


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


class TestPaper:
    def test_it_is_a_pdf_whatever_was_typed(self, town_hall: Client, draft: Dossier) -> None:
        draft.mailboxes.update(function="<para>&</font>" + "x" * 80, targets="a@b.example " * 60)
        response = town_hall.get(f"/demandes/{draft.pk}/demande.pdf")
        assert response["Content-Type"] == "application/pdf"
        assert response.content.startswith(b"%PDF-")
        assert draft.reference in response["Content-Disposition"]

    def test_a_full_list_takes_several_pages(self, town_hall: Client, draft: Dossier) -> None:
        row = draft.mailboxes.get()
        type(row).objects.bulk_create(
            type(row)(dossier=draft, position=number, local_part=f"boite{number}") for number in range(1, 200)
        )
        content = town_hall.get(f"/demandes/{draft.pk}/demande.pdf").content
        assert content.count(b"/Type /Page\n") > 3

    def test_nobody_else_takes_it(self, stranger: User, draft: Dossier) -> None:
        for name in ("demande.pdf", "demande.json"):
            assert sign_in(stranger).get(f"/demandes/{draft.pk}/{name}").status_code == 404


class TestData:
    def test_it_says_all_that_the_dossier_holds(
        self, town_hall: Client, commune: Organization, agent: User, django_assert_max_num_queries: object
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, needs_changes=True)
        RemarkFactory.create(dossier=dossier)
        Claim.objects.create(dossier=dossier, fact="population", claimed="1", reason="Recensement", author=agent)
        with django_assert_max_num_queries(15):  # type: ignore[operator]
            response = town_hall.get(f"/demandes/{dossier.pk}/demande.json")
        told = json.loads(response.content)
        assert (told["format"], told["version"], told["reference"]) == (record.FORMAT, 1, dossier.reference)
        assert told["mailboxes"][0]["local_part"] == dossier.mailboxes.get().local_part
        assert told["name"]["wished"] == "rochefort-en-terre.collectivite.fr"
        assert told["corrections"][0]["text"] == "Il manque l’accueil."
        assert told["claims"][0]["fact"] == "population"

    def test_every_key_is_documented(self, town_hall: Client, draft: Dossier) -> None:
        told = json.loads(town_hall.get(f"/demandes/{draft.pk}/demande.json").content)
        assert record.__doc__
        for key, value in told.items():
            assert key in record.__doc__
            if isinstance(value, dict) and key != "contacts":
                assert [inner for inner in value if inner not in record.__doc__] == []

    def test_what_operators_keep_for_themselves_is_not_there(
        self, town_hall: Client, commune: Organization, agent: User, instructor: User
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, approved=True)
        journal.record("dossier", dossier.pk, "approve", by=instructor, comment="Note entre nous")
        assert "Note entre nous" not in town_hall.get(f"/demandes/{dossier.pk}/demande.json").content.decode()
        assert instructor.get_full_name() not in town_hall.get(f"/demandes/{dossier.pk}/demande.json").content.decode()


class TestReport:
    DATA = {"fact": "population", "claimed": "321 habitants", "reason": "Le recensement de janvier."}

    def test_it_is_kept_with_the_dossier_and_changes_no_reference_data(
        self, town_hall: Client, draft: Dossier, commune: Organization
    ) -> None:
        before = commune.population
        url = f"/demandes/{draft.pk}/signaler/"
        assert [town_hall.post(url, self.DATA).status_code for _ in range(2)] == [302, 302]
        claim = draft.claims.get()
        assert claim.claimed == "321 habitants"
        assert str(before) in claim.shown
        commune.refresh_from_db()
        assert commune.population == before

    def test_the_desk_reads_it(self, commune: Organization, agent: User, anct: Operator, instructor: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, sent=True, operator=anct)
        sign_in(agent).post(f"/demandes/{dossier.pk}/signaler/", self.DATA)
        text = said(page(sign_in(instructor), f"/instruction/{dossier.pk}/"))
        assert "321 habitants" in text
        assert "Le recensement de janvier." in text

    def test_what_is_missing_is_linked_to_its_field(self, town_hall: Client, draft: Dossier) -> None:
        response = town_hall.post(f"/demandes/{draft.pk}/signaler/", {"fact": "is_superuser"})
        html = response.content.decode()
        assert response.status_code == 422
        for field in ("fact", "claimed", "reason"):
            assert f'href="#id_{field}"' in html
        assert not Claim.objects.exists()

    def test_a_closed_dossier_takes_none(self, town_hall: Client, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, rejected=True)
        assert town_hall.post(f"/demandes/{dossier.pk}/signaler/", self.DATA).status_code == 409

    def test_twenty_are_enough(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/signaler/"
        codes = [town_hall.post(url, {**self.DATA, "claimed": str(number)}).status_code for number in range(21)]
        assert codes == [302] * 20 + [422]


class TestUsualDelay:
    MONDAY = datetime(2026, 6, 1, 10, tzinfo=timezone.get_default_timezone())

    def decided(self, operator: Operator, days: int, *, waited: int = 0, family: str = "collectivite") -> None:
        """Write the journal of a dossier decided so many days after it was sent, one pause taken out."""
        dossier = DossierFactory.create()
        facts = {"department": "56", "operator": str(operator.pk), "family": family}
        told = [("submit", 0), *([("request_changes", 0), ("resubmit", waited)] if waited else []), ("reject", days)]
        for kind, day in told:
            with time_machine.travel(self.MONDAY + timedelta(days=day), tick=False):
                journal.record("dossier", dossier.pk, kind, by=None, payload=facts)

    def count(self) -> int:
        return delays.count(self.MONDAY + timedelta(days=30))

    def test_half_and_nine_in_ten_of_twenty_dossiers(self, anct: Operator) -> None:
        for _ in range(11):
            self.decided(anct, 2)
        for _ in range(7):
            self.decided(anct, 3)
        for _ in range(2):
            self.decided(anct, 11)  # two week-ends later: seven working days
        assert self.count() == 2
        counted = UsualDelay.objects.get(operator=anct)
        assert (counted.count, counted.half, counted.most, counted.waiting) == (20, 2, 3, 0)

    def test_the_time_spent_waiting_for_the_commune_is_told_apart(self, anct: Operator) -> None:
        for _ in range(20):
            self.decided(anct, 11, waited=7)
        self.count()
        counted = UsualDelay.objects.get(operator=anct)
        assert (counted.half, counted.waiting) == (4, 5)

    def test_nineteen_are_too_few_and_the_country_is_told_instead(self, anct: Operator) -> None:
        other = OperatorFactory.create()
        for _ in range(19):
            self.decided(anct, 2)
        self.decided(other, 4)
        self.count()
        counted = delays.usual_delay(anct, "collectivite")
        assert counted
        assert (counted.operator, counted.count) == (None, 20)
        assert delays.usual_delay(anct, "existing") is None

    def test_what_is_older_than_ninety_days_and_a_second_decision_do_not_count(self, anct: Operator) -> None:
        for _ in range(20):
            self.decided(anct, 2)
        dossier = DossierFactory.create()
        with time_machine.travel(self.MONDAY - timedelta(days=200), tick=False):
            journal.record("dossier", dossier.pk, "submit", by=None, payload={"family": "collectivite"})
            journal.record("dossier", dossier.pk, "reject", by=None)
        with time_machine.travel(self.MONDAY, tick=False):
            journal.record("dossier", dossier.pk, "approve", by=None)
        self.count()
        assert UsualDelay.objects.get(operator=None).count == 20
        assert delays.count(self.MONDAY + timedelta(days=120)) == 0
        assert not UsualDelay.objects.exists()

    def test_the_pages_say_the_period_and_where_it_was_counted(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, sent=True, operator=anct)
        url = f"/demandes/{dossier.pk}/"
        assert "demandes comparables" not in page(town_hall, url)
        for _ in range(20):
            self.decided(anct, 4)
        self.count()
        text = said(page(town_hall, url))
        assert "La moitié des demandes comparables ont reçu une réponse en 4 jours ouvrés, neuf sur dix en 4" in text
        assert "chez ANCT" in text
