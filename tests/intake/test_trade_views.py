"""The pages where lead operators change the settings of the trade."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from onboarding.intake import names, reasons
from onboarding.intake.trade import ALLOCATION, CLOSED_DAYS
from suite import trade
from suite.accounts.models import User
from suite.directory.models import Department, Operator, Organization
from suite.journal.models import Event
from suite.trade.models import Setting
from suite.trade.registry import SCHEMAS
from tests.accounts.elevation import elevate
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.intake import DossierFactory

pytestmark = pytest.mark.django_db
WHY = "Décision du comité de pilotage."


@pytest.fixture
def lead(client: Client) -> User:
    user: User = UserFactory.create(given_name="Nadia", usual_name="Responsable")
    OperatorRoleFactory.create(user=user, operator=OperatorFactory.create(national_one=True), lead=True)
    client.force_login(user)
    elevate(client)
    return user


@pytest.fixture
def local(client: Client) -> Operator:
    """Sign in the lead of a local operator."""
    operator: Operator = OperatorFactory.create(departments=["01"], siret="")
    Department.objects.get_or_create(code="01", defaults={"name": "Ain"})
    user = UserFactory.create()
    OperatorRoleFactory.create(user=user, operator=operator, lead=True)
    client.force_login(user)
    elevate(client)
    return operator


def url(name: str, *args: object) -> str:
    return reverse(f"trade:{name}", args=args)


def rows(schema: str, **changes: dict[str, Any]) -> dict[str, Any]:
    """Return the form as the page shows it, with rows changed by the value of their first field or their code."""
    value = SCHEMAS[schema].dump(SCHEMAS[schema].current())
    typed: dict[str, Any] = {"rows": len(value), "version": Setting.objects.filter(key=schema).count(), "reason": WHY}
    for number, row in enumerate(value):
        told = {**row, **changes.get(row.get("code") or row.get("pattern") or "", {})}
        for name, cell in told.items():
            if cell not in (None, False):
                typed[f"row-{number}-{name}"] = "on" if cell is True else cell
    return typed


ALLOWED = {"mailboxes": 30, "storage_gb": 15, "version": 0, "reason": WHY, "action": "save"}


class TestIndex:
    def test_it_lists_every_setting_in_few_queries(
        self, client: Client, lead: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        client.post(url("edit", "allocation"), ALLOWED)
        with django_assert_max_num_queries(15):
            page = client.get(url("index")).content.decode()
        assert {key for key in SCHEMAS if f'href="{url("detail", key)}"' in page} == set(SCHEMAS) - {"operator"}
        assert "par Nadia Responsable" in page
        assert "Valeurs d’origine" in page


class TestDetail:
    @pytest.mark.parametrize("key", sorted(set(SCHEMAS) - {"operator"}))
    def test_each_setting_shows_what_applies_without_any_row(
        self, client: Client, lead: User, key: str, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(15):
            answer = client.get(url("detail", key))
        assert answer.status_code == 200
        assert "Personne n’a encore changé ce réglage" in answer.content.decode()

    def test_what_is_no_setting_is_not_found(self, client: Client, lead: User) -> None:
        assert client.get(url("detail", "rien")).status_code == 404
        assert client.get(url("detail", "operator")).status_code == 404

    def test_a_change_to_come_is_announced_and_does_not_apply_yet(self, client: Client, lead: User) -> None:
        client.post(url("edit", "allocation"), {**ALLOWED, "valid_from": "2099-01-01"})
        page = client.get(url("detail", "allocation")).content.decode()
        assert "s’appliquera le 1er\xa0janvier 2099" in page
        assert ALLOCATION.current().mailboxes == 20


class TestEdit:
    @pytest.mark.parametrize("key", ["reasons", "reserved_names", "eligibility", "allocation", "delays", "closed_days"])
    def test_each_form_opens_and_sent_back_as_it_is_changes_nothing(self, client: Client, lead: User, key: str) -> None:
        assert client.get(url("edit", key)).status_code == 200
        value = SCHEMAS[key].dump(SCHEMAS[key].current())
        typed = rows(key) if isinstance(value, list) else {**value, "reason": WHY, "version": 0}
        answer = client.post(url("edit", key), {**typed, "action": "save"})
        assert answer.status_code == 422
        assert "Rien n’est différent" in answer.content.decode()
        assert not Setting.objects.exists()

    def test_a_new_allocation_applies_to_the_next_dossier(self, client: Client, lead: User) -> None:
        answer = client.post(url("edit", "allocation"), ALLOWED)
        assert answer["Location"] == url("detail", "allocation")
        assert (ALLOCATION.current().mailboxes, ALLOCATION.current().storage_gb) == (30, 15)
        assert Event.objects.get(stream="setting").actor == lead.pk

    def test_a_reason_s_words_and_fields_change_and_its_code_stays(self, client: Client, lead: User) -> None:
        typed = rows(
            "reasons", name_taken={"label": "Nom pris", "text": "Choisissez-en un autre.", "unlocks": ["name"]}
        )
        answer = client.post(url("edit", "reasons"), {**typed, "action": "save"})
        assert answer.status_code == 302
        assert reasons.CHANGES["name_taken"] == ("Nom pris", ("name",), "Choisissez-en un autre.")
        assert list(reasons.CHANGES) == list(reasons.DEFAULT_CHANGES)
        assert reasons.text("name_taken") == "Choisissez-en un autre."

    def test_a_reason_no_longer_offered_keeps_its_words_for_past_decisions(self, client: Client, lead: User) -> None:
        client.post(url("edit", "reasons"), {**rows("reasons", duplicate={"offered": False}), "action": "save"})
        assert "duplicate" not in dict(reasons.offered_rejections())
        assert reasons.label("duplicate") == "Une autre demande de la commune est déjà traitée"

    def test_a_forged_code_is_refused(self, client: Client, lead: User) -> None:
        typed = rows("reasons", name_taken={"code": "a_nous"})
        answer = client.post(url("edit", "reasons"), {**typed, "action": "save"})
        assert answer.status_code == 422
        assert "les codes ne changent pas" in answer.content.decode()

    def test_a_reserved_name_is_added_row_by_row_and_applies(self, client: Client, lead: User) -> None:
        typed = rows("reserved_names")
        count = typed["rows"]
        more = client.post(url("edit", "reserved_names"), {**typed, "action": "add"})
        assert more.status_code == 200
        assert f'name="row-{count}-pattern"' in more.content.decode()
        added = {
            f"row-{count}-pattern": "plage-*", f"row-{count}-decision": "block", f"row-{count}-source": "Charte",
            f"row-{count}-reason": "Ce nom est gardé pour les plages.",
        }  # fmt: skip
        answer = client.post(url("edit", "reserved_names"), {**typed, **added, "rows": count + 1, "action": "save"})
        assert answer.status_code == 302
        kept = names.reserved("plage-nord")
        assert kept == names.Reserved(True, "Ce nom est gardé pour les plages.")
        assert names.reserved("bord-de-plage") is None

    def test_a_row_taken_away_leaves_what_was_typed_in_the_others(self, client: Client, lead: User) -> None:
        typed = rows("reserved_names", www={"reason": "Déjà prise."}, mail={"reason": "Autre motif."})
        position = next(key for key, value in typed.items() if value == "www").split("-")[1]
        page = client.post(url("edit", "reserved_names"), {**typed, "action": f"remove-{position}"}).content.decode()
        assert 'value="www"' not in page
        assert "Autre motif." in page
        assert f'name="rows" value="{typed["rows"] - 1}"' in page
        assert not Setting.objects.exists()

    def test_errors_name_the_row_the_field_and_the_remedy_and_lose_nothing(self, client: Client, lead: User) -> None:
        typed = rows("reserved_names", www={"pattern": "É COLE", "reason": "Un motif tapé à la main."})
        answer = client.post(url("edit", "reserved_names"), {**typed, "action": "save"})
        page = answer.content.decode()
        assert answer.status_code == 422
        assert page.index("Erreur\xa0:") < page.index("</title>")
        assert "Un modèle n’a que des lettres sans accent" in page
        assert 'value="É COLE"' in page
        assert "Un motif tapé à la main." in page
        assert 'role="alert"' in page

    def test_a_change_met_by_another_is_a_conflict_that_keeps_the_text(self, client: Client, lead: User) -> None:
        client.post(url("edit", "allocation"), ALLOWED)
        answer = client.post(url("edit", "allocation"), {**ALLOWED, "mailboxes": 45, "reason": "Mon motif à moi."})
        page = answer.content.decode()
        assert answer.status_code == 409
        assert 'value="45"' in page
        assert "Mon motif à moi." in page
        assert "<ins>30</ins>" in page
        assert 'name="version" value="1"' in page
        assert ALLOCATION.current().mailboxes == 30
        assert client.post(url("edit", "allocation"), {**ALLOWED, "mailboxes": 45, "version": 1}).status_code == 302
        assert ALLOCATION.current().mailboxes == 45

    def test_the_preview_counts_and_writes_nothing(self, client: Client, lead: User) -> None:
        commune = CommuneFactory.create(population=3000)
        DossierFactory.create(organization=commune, sent=True, storage_gb=12)
        answer = client.post(url("edit", "allocation"), {**ALLOWED, "action": "preview"})
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "au-dessus de la dotation : 1 aujourd’hui, 0 ensuite" in page
        assert not Setting.objects.exists()

    @pytest.mark.parametrize("key", ["reasons", "reserved_names", "eligibility", "allocation", "delays", "closed_days"])
    def test_each_setting_has_a_preview_in_few_queries(
        self, client: Client, lead: User, key: str, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        value = SCHEMAS[key].dump(SCHEMAS[key].current())
        typed = rows(key) if isinstance(value, list) else {**value, "reason": WHY, "version": 0}
        with django_assert_max_num_queries(15):
            answer = client.post(url("edit", key), {**typed, "action": "preview"})
        assert answer.status_code == 200
        assert "Ce que ce changement ferait" in answer.content.decode()

    def test_new_thresholds_change_the_verdict_and_say_how_many(self, client: Client, lead: User) -> None:
        from suite.directory.lookup import verdict_of  # noqa: PLC0415

        commune = CommuneFactory.create(population=3600)
        typed = {**rows("eligibility"), "row-0-commune_below": "4000"}
        page = client.post(url("edit", "eligibility"), {**typed, "action": "preview"}).content.decode()
        assert "0 communes sont sous le seuil ; ce serait 1" in page
        assert not verdict_of(commune).eligible
        client.post(url("edit", "eligibility"), {**typed, "action": "save"})
        assert verdict_of(commune).eligible

    def test_a_closed_day_is_of_one_departement_or_of_all(self, client: Client, lead: User) -> None:
        Department.objects.get_or_create(code="974", defaults={"name": "La Réunion"})
        typed = {
            "rows": 2, "version": 0, "reason": WHY, "action": "save",
            "row-0-day": "2026-12-20", "row-0-department": "974", "row-0-label": "Fête de la Liberté",
            "row-1-day": "2026-12-24", "row-1-label": "Fermeture de fin d’année",
        }  # fmt: skip
        assert client.post(url("edit", "closed_days"), typed).status_code == 302
        assert len(CLOSED_DAYS.current().within("974")) == 2
        assert [day.isoformat() for day in trade.read("closed_days").within("01")] == ["2026-12-24"]

    def test_delays_out_of_order_are_refused_where_they_are_wrong(self, client: Client, lead: User) -> None:
        value = SCHEMAS["delays"].dump(SCHEMAS["delays"].current())
        answer = client.post(url("edit", "delays"), {**value, "draft_expiry": 10, "reason": WHY, "version": 0})
        assert answer.status_code == 422
        assert "Ce délai doit dépasser le précédent, de 45 jours." in answer.content.decode()

    def test_a_local_lead_reads_and_does_not_change(self, client: Client, local: Operator) -> None:
        page = client.get(url("detail", "allocation"))
        assert page.status_code == 200
        assert url("edit", "allocation") not in page.content.decode()
        assert client.post(url("edit", "allocation"), ALLOWED).status_code == 403
        assert not Setting.objects.exists()

    def test_without_a_second_factor_nothing_is_saved_and_the_form_is_kept(self, client: Client, lead: User) -> None:
        elevate(client, ago=3600)
        answer = client.post(url("edit", "allocation"), ALLOWED)
        assert answer.status_code == 403
        assert not Setting.objects.exists()

    @pytest.mark.parametrize("typed", [
        {}, {"rows": "999999999999"}, {"rows": "-1"}, {"rows": "3"}, {"version": "x" * 50}, {"version": "9" * 30},
        {"action": "remove-99"}, {"action": "remove-"}, {"row-0-day": "31/02/2026", "rows": "1"},
        {"rows": "1", "row-0-pattern": "\x00", "row-0-day": "\x00"}, {"reason": "x" * 900},
        {"valid_from": "2001-01-01"},
    ])  # fmt: skip
    @pytest.mark.parametrize("key", ["reasons", "reserved_names", "eligibility", "allocation", "delays", "closed_days"])
    def test_no_bad_post_breaks_or_saves(self, client: Client, lead: User, key: str, typed: dict[str, str]) -> None:
        answer = client.post(url("edit", key), typed)
        assert answer.status_code in {200, 409, 422}
        assert not Setting.objects.exists()


class TestVersion:
    def test_it_shows_what_changed_and_goes_back_with_a_new_version(self, client: Client, lead: User) -> None:
        client.post(url("edit", "allocation"), ALLOWED)
        client.post(url("edit", "allocation"), {**ALLOWED, "mailboxes": 45, "version": 1})
        page = client.get(url("version", "allocation", 1)).content.decode()
        assert WHY in page
        assert "<del>20</del>" in page
        assert "<ins>30</ins>" in page
        answer = client.post(url("version", "allocation", 1), {"version": 2, "reason": "Nous revenons en arrière."})
        assert answer["Location"] == url("detail", "allocation")
        assert ALLOCATION.current().mailboxes == 30
        assert Setting.objects.filter(key="allocation").count() == 3

    def test_one_goes_back_to_the_code_s_own_value(self, client: Client, lead: User) -> None:
        client.post(url("edit", "allocation"), ALLOWED)
        client.post(url("version", "allocation", 0), {"version": 1, "reason": "Nous revenons en arrière."})
        assert ALLOCATION.current().mailboxes == 20

    def test_going_back_needs_a_reason_and_the_latest_version(self, client: Client, lead: User) -> None:
        client.post(url("edit", "allocation"), ALLOWED)
        assert client.post(url("version", "allocation", 0), {"version": 1, "reason": ""}).status_code == 422
        assert client.post(url("version", "allocation", 0), {"version": 0, "reason": WHY}).status_code == 409
        assert client.get(url("version", "allocation", 9)).status_code == 404


class TestOperators:
    def test_they_are_listed_with_their_territory(self, client: Client, local: Operator) -> None:
        page = client.get(url("operators")).content.decode()
        assert local.name in page
        assert url("add_operator") not in page


class TestOperator:
    def card(self, operator: Operator, **changes: object) -> dict[str, object]:
        card: dict[str, object] = {
            "name": operator.name, "name_with_article": operator.name_with_article, "url": operator.url,
            "email": operator.email or "contact@operateur.example", "siret": "", "status": operator.status,
            "departments": operator.departments, "version": 0, "reason": WHY,
        }  # fmt: skip
        return {**card, **changes}

    def test_its_own_lead_changes_how_it_is_reached_and_nothing_else(self, client: Client, local: Operator) -> None:
        Department.objects.get_or_create(code="35", defaults={"name": "Ille-et-Vilaine"})
        typed = self.card(local, email="accueil@operateur.example", name="Autre nom", departments=["01", "35"])
        assert client.post(url("operator", local.pk), typed).status_code == 302
        changed = Operator.objects.get(pk=local.pk)
        assert (changed.email, changed.name, changed.departments) == ("accueil@operateur.example", local.name, ["01"])
        assert Event.objects.filter(stream="setting", subject=local.pk).count() == 1

    def test_the_national_lead_moves_a_territory_after_seeing_what_it_does(self, client: Client, lead: User) -> None:
        commune = CommuneFactory.create(population=900)
        Department.objects.get_or_create(code="35", defaults={"name": "Ille-et-Vilaine"})
        operator = OperatorFactory.create(departments=["35"], siret="")
        DossierFactory.create(organization=commune, sent=True)
        typed = self.card(operator, departments=["35", commune.department_id])
        page = client.post(url("operator", operator.pk), {**typed, "action": "preview"}).content.decode()
        assert "1\xa0demande ouverte entre dans la vue de l’opérateur" in page
        assert client.post(url("operator", operator.pk), typed).status_code == 302
        assert Operator.objects.get(pk=operator.pk).departments == ["01", "35"]

    def test_an_inactive_operator_is_offered_to_nobody(self, client: Client, lead: User) -> None:
        from suite.directory.lookup import covering  # noqa: PLC0415

        commune = CommuneFactory.create()
        operator = OperatorFactory.create(departments=[commune.department_id], siret="")
        assert covering(commune) == [operator]
        assert client.post(url("operator", operator.pk), self.card(operator, status="")).status_code == 302
        assert covering(Organization.objects.get(pk=commune.pk)) == []

    def test_mistakes_are_told_by_field(self, client: Client, lead: User) -> None:
        operator = OperatorFactory.create(departments=["01"], siret="")
        OperatorFactory.create(name="Déjà pris")
        Department.objects.get_or_create(code="01", defaults={"name": "Ain"})
        for typed, said in (
            ({"siret": "12345678901234"}, "Ce SIRET n’est pas valable"),
            ({"email": "rien"}, "Cette adresse n’est pas valable"),
            ({"departments": []}, "Choisissez au moins un département"),
            ({"url": "javascript:alert(1)"}, "Cette adresse de site n’est pas valable"),
            ({"name": "Déjà pris"}, "Un autre opérateur porte déjà ce nom."),
        ):
            answer = client.post(url("operator", operator.pk), self.card(operator, **typed))
            assert answer.status_code == 422, said
            assert said in answer.content.decode()
        assert not Setting.objects.exists()

    def test_two_changes_at_once_are_a_conflict(self, client: Client, lead: User) -> None:
        Department.objects.get_or_create(code="01", defaults={"name": "Ain"})
        operator = OperatorFactory.create(departments=["01"], siret="")
        client.post(url("operator", operator.pk), self.card(operator, email="a@operateur.example"))
        answer = client.post(url("operator", operator.pk), self.card(operator, email="b@operateur.example"))
        assert answer.status_code == 409
        assert 'value="b@operateur.example"' in answer.content.decode()
        assert Operator.objects.get(pk=operator.pk).email == "a@operateur.example"

    def test_the_local_lead_of_another_operator_is_refused(self, client: Client, local: Operator) -> None:
        other = OperatorFactory.create(departments=["35"])
        assert client.get(url("operator", other.pk)).status_code == 403


class TestOperatorVersion:
    def test_a_card_goes_back_to_an_earlier_version(self, client: Client, lead: User) -> None:
        Department.objects.get_or_create(code="01", defaults={"name": "Ain"})
        operator = OperatorFactory.create(departments=["01"], siret="", status="")
        card = TestOperator().card(operator, email="a@operateur.example")
        client.post(url("operator", operator.pk), card)
        client.post(url("operator", operator.pk), {**card, "email": "b@operateur.example", "version": 1})
        assert "b@operateur.example" in client.get(url("operator_version", operator.pk, 2)).content.decode()
        typed = {"version": 2, "reason": "L’ancienne adresse revient."}
        assert client.post(url("operator_version", operator.pk, 1), typed).status_code == 302
        assert Operator.objects.get(pk=operator.pk).email == "a@operateur.example"
        assert client.get(url("operator_version", operator.pk, 0)).status_code == 404


class TestAddOperator:
    def test_an_operator_is_added_once(self, client: Client, lead: User) -> None:
        Department.objects.get_or_create(code="01", defaults={"name": "Ain"})
        typed = {
            "name": "Syndicat de l’Ain", "name_with_article": "le Syndicat de l’Ain", "departments": ["01"],
            "email": "contact@ain.example", "status": "partenaire", "reason": WHY,
        }  # fmt: skip
        answer = client.post(url("add_operator"), typed)
        made = Operator.objects.get(name="Syndicat de l’Ain")
        assert answer["Location"] == url("operator", made.pk)
        assert Setting.objects.get(scope=made.pk).version == 1
        again = client.post(url("add_operator"), typed)
        assert again.status_code == 422
        assert "Un autre opérateur porte déjà ce nom." in again.content.decode()

    def test_there_is_one_national_operator(self, client: Client, lead: User) -> None:
        typed = {"name": "X", "name_with_article": "le X", "email": "x@x.example", "national": "on", "reason": WHY,
                 "status": ""}  # fmt: skip
        assert client.post(url("add_operator"), typed).status_code == 422
        assert Operator.objects.filter(national=True).count() == 1
