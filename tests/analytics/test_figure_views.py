"""The published figures on the site: who reads which, what the address chooses, what is public."""

import csv
import datetime as dt
import io
import re
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from onboarding.analytics.definitions import Unit
from onboarding.analytics.figure_models import PublishedFigure
from onboarding.analytics.published import Cell, Pair, hide
from suite.accounts.models import User
from suite.directory.models import Department, Operator
from tests.accounts.elevation import elevate
from tests.analytics.histories import APRIL_SWEEP, MARCH, MAY_SWEEP, at, decided, dossier, happens, sweep_at
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.factories.directory import DepartmentFactory, OperatorFactory

pytestmark = pytest.mark.django_db
URL = "/groupe-pilote/activite/"
FILE = "/groupe-pilote/activite.csv"
PUBLIC = "/groupe-pilote/chiffres/"


def signed_in(client: Client, operator: Operator) -> User:
    """Sign in somebody of the operator, with a second factor."""
    user: User = OperatorRoleFactory.create(operator=operator).user
    client.force_login(user)
    elevate(client)
    return user


@pytest.fixture
def opsn() -> Operator:
    operator: Operator = OperatorFactory.create(name="Mégalis", departments=["56"])
    return operator


@pytest.fixture
def anct() -> Operator:
    operator: Operator = OperatorFactory.create(national_one=True)
    return operator


@pytest.fixture
def march(opsn: Operator, anct: Operator) -> None:
    """Publish a March of seven requests of the Morbihan, six of the Ain and one of the Isère."""
    for code, count, operator in (("56", 7, opsn), ("01", 6, anct), ("38", 1, anct)):
        DepartmentFactory.create(code=code)
        for _ in range(count):
            sent = dossier(at(3, 3), code, str(operator.pk))
            if code == "56":
                happens(sent, "request_changes", at(3, 4), "in_review > needs_changes", reasons=["mailbox_list"])
                happens(sent, "resubmit", at(3, 8), "needs_changes > in_review")
                decided(sent, at(3, 10))
    sweep_at(APRIL_SWEEP)


def table(text: str, key: str) -> list[list[str]]:
    """Return the rows of a table of the page, as texts."""
    body = text[text.index(f'aria-labelledby="{key}-tableau"') :]
    body = body[: body.index("</table>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [[cell.strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


class TestActivity:
    def test_a_commune_s_agent_is_told_that_it_is_the_operators(self, client: Client, march: None) -> None:
        client.force_login(UserFactory.create())

        assert client.get(URL).status_code == 403

    def test_before_anything_is_published_the_page_says_when_it_will_be(self, client: Client, anct: Operator) -> None:
        signed_in(client, anct)

        response = client.get(URL, {"date": "2027-03-09"})

        assert response.status_code == 200
        assert "Aucun mois n’est encore publié" in response.text
        assert "0\u00a0demande" in response.text or "0 demande" in response.text

    def test_the_table_beside_the_chart_says_the_same_numbers(
        self, client: Client, anct: Operator, march: None
    ) -> None:
        signed_in(client, anct)

        response = client.get(URL)

        assert table(response.text, "volumes")[1] == ["mars 27", "14", "7", "7", "7", "0"]
        assert [line.last for line in response.context["sections"][0].chart.lines] == [14, 7, 7, 7, 0]
        assert table(response.text, "delays")[1] == ["mars 27", *["5\u00a0jours"] * 2, *["3\u00a0jours"] * 2]
        assert table(response.text, "quality")[1] == ["mars 27", *["0\u00a0% de\u00a07"] * 3]
        assert table(response.text, "motifs")[1] == ["Corrections\u00a0: La liste des boîtes est à corriger", "7", "–"]
        assert response.text.count("<svg") == len(response.context["sections"]) == 5
        assert len(set(re.findall(r' id="([^"]+)"', response.text))) == len(re.findall(r' id="([^"]+)"', response.text))
        assert "arrêté sur les événements connus avant le 6\u00a0avril 2027" in response.text

    def test_a_scope_and_a_month_are_in_the_address(self, client: Client, anct: Operator, march: None) -> None:
        signed_in(client, anct)
        sweep_at(MAY_SWEEP)

        april = client.get(URL, {"perimetre": "department:56"})
        march_ = client.get(URL, {"perimetre": "department:56", "mois": "2027-03"})

        assert table(april.text, "volumes")[1] == ["avr. 27", *"00000"]
        assert table(march_.text, "volumes")[1] == ["mars 27", "7", "7", "7", "0", "0"]
        assert "56 – Morbihan" in march_.text

    def test_an_operator_reads_the_country_its_departements_and_itself(
        self, client: Client, opsn: Operator, march: None
    ) -> None:
        signed_in(client, opsn)

        response = client.get(URL)

        offered = [value for value, _ in response.context["form"].fields["perimetre"].choices]
        assert offered == ["national", "department:56", f"operator:{opsn.pk}"]
        assert [row[0] for row in table(response.text, "territoires")[1:]] == ["56 – Morbihan", "Mégalis"]
        assert "Isère" not in response.text

    def test_another_s_territory_is_not_given_by_its_address(self, client: Client, opsn: Operator, march: None) -> None:
        signed_in(client, opsn)

        for scope in ("department:38", "department:", "operator:x", "\x00", "é" * 300):
            response = client.get(URL, {"perimetre": scope})
            assert response.status_code == 422
            assert "choisissez un périmètre de la liste" in response.text
            assert table(response.text, "volumes")[1][1] == "14"

    @pytest.mark.parametrize("day", ["hier", "2027-02-30", "0001-01-01", "9999-12-31", "2027-3", "\x00", "9" * 5000])
    def test_a_day_that_is_none_gets_a_sentence_and_is_shown_again(
        self, client: Client, anct: Operator, march: None, day: str
    ) -> None:
        signed_in(client, anct)

        response = client.get(URL, {"date": day})

        assert response.status_code == 422
        assert "Erreur" in response.text[response.text.index("<title>") : response.text.index("</title>")]
        assert 'href="#id_date"' in response.text
        assert response.context["backlog"] is None

    def test_the_backlog_is_told_as_of_any_evening(self, client: Client, anct: Operator, march: None) -> None:
        signed_in(client, anct)

        found = [
            client.get(URL, {"date": day, "perimetre": scope}).context["backlog"]
            for day, scope in (
                ("2027-03-02", "national"),
                ("2027-03-03", "national"),
                ("2027-03-10", "national"),
                ("2027-03-09", "department:56"),
            )
        ]

        assert found == [0, 14, 7, 7]

    def test_a_revision_stands_in_a_column_of_its_own(
        self, client: Client, anct: Operator, opsn: Operator, march: None
    ) -> None:
        signed_in(client, anct)
        late = dossier(at(3, 31), "56", str(opsn.pk), known=at(4, 20))
        decided(late, at(3, 31, 12), "reject", known=at(4, 20), reasons=["no_mandate"])
        sweep_at(MAY_SWEEP)

        text = client.get(URL, {"mois": "2027-03"}).text

        head, first = table(text, "volumes")[:2]
        assert head[:5] == ["Mois", "Demandes reçues", "Demandes reçues, révisé", "Décisions", "Décisions, révisé"]
        assert first[:5] == ["mars 27", "14", "15", "7", "8"]
        assert table(text, "motifs")[2] == ["Refus\u00a0: Habilitation non établie", "–", "1"]

    def test_the_page_costs_as_many_queries_for_a_hundred_departements(
        self, client: Client, anct: Operator, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(100):
            Department.objects.create(code=f"d{number:02}", name=f"Département {number}")
            dossier(at(3, 3), f"d{number:02}")
        sweep_at(MAY_SWEEP)
        signed_in(client, anct)

        with django_assert_max_num_queries(15):
            response = client.get(URL, {"date": "2027-03-09", "perimetre": "department:d50"})

        assert len(response.context["rows"]) == 101  # and an operator that is no more


class TestActivityCsv:
    def test_the_file_says_what_is_stored_of_the_address_s_scope(
        self, client: Client, anct: Operator, march: None
    ) -> None:
        signed_in(client, anct)

        response = client.get(FILE, {"perimetre": "department:56", "mois": "2027-03"})
        rows = list(csv.reader(io.StringIO(response.getvalue().decode("utf-8-sig")), delimiter=";"))

        assert response.streaming
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        high = PublishedFigure.objects.values_list("event_high_water", flat=True).distinct().get()
        net = next(row for row in rows if row[1] == "decision_net_median")
        assert net == [
            *(
                "Net, médiane",
                "decision_net_median",
                "v1",
                "56 – Morbihan",
                "2027-03",
                "publié",
                "2027-04-06",
                "3",
                "7",
            ),
            str(high),
        ]
        assert {row[3] for row in rows[1:]} == {"56 – Morbihan"}
        assert len(rows) - 1 == PublishedFigure.objects.filter(scope="department:56").count()

    @pytest.mark.parametrize("name", ["=1+1", "+33", "-2", "@somme", "\t=1"])
    def test_a_name_is_never_a_formula(
        self, client: Client, anct: Operator, opsn: Operator, march: None, name: str
    ) -> None:
        signed_in(client, anct)
        Operator.objects.filter(pk=opsn.pk).update(name=name)

        content = client.get(FILE, {"perimetre": f"operator:{opsn.pk}"}).getvalue().decode("utf-8-sig")

        assert {row[3] for row in list(csv.reader(io.StringIO(content), delimiter=";"))[1:]} == {f"'{name}"}

    def test_it_asks_for_a_second_factor_and_for_an_operator_s_role(
        self, client: Client, anct: Operator, march: None
    ) -> None:
        client.force_login(OperatorRoleFactory.create(operator=anct).user)
        assert b"v1" not in client.get(FILE).getvalue()
        client.force_login(UserFactory.create())
        assert client.get(FILE).status_code == 403


class TestPublic:
    def test_everybody_reads_the_country_s_figures(self, client: Client, march: None) -> None:
        response = client.get(PUBLIC)

        assert response.status_code == 200
        assert table(response.text, "volumes")[1] == ["mars 27", "14", "7", "7"]
        assert "Motif" not in response.text

    def test_a_departement_with_too_few_is_hidden_and_cannot_be_found_by_subtraction(
        self, client: Client, march: None
    ) -> None:
        rows = table(client.get(PUBLIC).text, "departements")

        few = "moins de\u00a05"
        # One request of the Isère: shown beside 6 and 7 of 14, it would be what is left.
        assert [row[:2] for row in rows[1:]] == [["01 – Ain", few], ["38 – Isère", few], ["56 – Morbihan", "7"]]
        assert [row[2] for row in rows[1:]] == ["0", "0", "7"]

    def test_delays_of_too_few_decisions_are_hidden(self, client: Client) -> None:
        for _ in range(4):
            decided(dossier(at(3, 3)), at(3, 5))
        dossier(at(3, 3))
        sweep_at(APRIL_SWEEP)

        text = client.get(PUBLIC).text

        few = "moins de\u00a05"
        assert table(text, "volumes")[1] == ["mars 27", "5", few, few]
        assert table(text, "delays")[1] == ["mars 27", few, few, few, few]

    def test_before_anything_is_published_it_says_so(self, client: Client) -> None:
        assert "Aucun mois" in client.get(PUBLIC).text

    @pytest.mark.parametrize("month", ["2027-13", "hier", "1999-01", "\x00"])
    def test_a_month_that_is_none_gets_a_sentence(self, client: Client, march: None, month: str) -> None:
        response = client.get(PUBLIC, {"mois": month})

        assert response.status_code == 422
        assert "choisissez un mois de la liste" in response.text
        assert table(response.text, "volumes")[1][0] == "mars 27"

    def test_it_costs_few_queries(
        self, client: Client, march: None, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(6):
            client.get(PUBLIC)


def counts(*values: int) -> dict[tuple[str, str, dt.date], Pair]:
    """Return the requests of a country and of its départements."""
    scopes = {"national": sum(values)} | {f"department:{index}": value for index, value in enumerate(values)}
    return {(scope, "requests", MARCH): Pair(Cell(Decimal(n), n)) for scope, n in scopes.items()}


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((9, 8, 7), (9, 8, 7)),
        ((9, 8, 2), (9, None, None)),
        ((9, 3, 3), (9, None, None)),
        # Two hidden that count less than five together say nearly all.
        ((9, 8, 1, 1), (9, None, None, None)),
        ((9, 8, 0), (9, 8, 0)),
        ((2, 1), (None, None)),
        ((30, 0, 3), (None, 0, None)),
    ],
)
def test_what_is_hidden_cannot_be_counted_from_the_rest(values: tuple[int, ...], shown: tuple[int | None, ...]) -> None:
    found = hide(counts(*values))

    cells = [found[f"department:{index}", "requests", MARCH] for index in range(len(values))]
    assert tuple(int(cell.value) if cell and cell.value is not None else None for cell in cells) == shown


@pytest.mark.parametrize(
    ("value", "n", "small"),
    [("0.5", 12, False), ("0.25", 12, True), ("0.75", 12, True), ("0", 12, False), ("0", 4, True)],
)
def test_a_share_hides_those_in_it_and_those_who_are_not(value: str, n: int, small: bool) -> None:  # noqa: FBT001 - a parameter
    assert Cell(Decimal(value), n, Unit.SHARE).small is small


def test_the_table_of_published_figures_refuses_half_a_month() -> None:
    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="figure_of_a_whole_month"):
        cursor.execute(
            "INSERT INTO analytics_publishedfigure"
            " (metric, definition_version, scope, period, as_of, n, event_high_water)"
            " VALUES ('requests', 1, 'national', '2027-03-02', now(), 0, 0)"
        )


def test_the_addresses_are_named() -> None:
    assert [reverse(f"analytics:{name}") for name in ("activity", "activity_csv", "public")] == [URL, FILE, PUBLIC]
