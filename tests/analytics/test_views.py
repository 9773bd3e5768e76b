"""The pilot page: who may see it, what it counts, what it says of data that are not measured."""

import csv
import io
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from onboarding.analytics.models import PilotGroup
from suite.accounts.models import User
from suite.catalog.models import UsageSample
from tests.accounts.elevation import elevate
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.factories.analytics import PilotGroupFactory, PilotMemberFactory
from tests.factories.catalog import ServiceFactory, UsageSampleFactory
from tests.factories.directory import CommuneFactory, DepartmentFactory, OperatorFactory

pytestmark = pytest.mark.django_db

LAST = date(2025, 11, 17)
URL = "/groupe-pilote/"


@pytest.fixture
def national(client: Client) -> User:
    """Sign in somebody of the ANCT."""
    user = UserFactory.create()
    OperatorRoleFactory.create(user=user, operator=OperatorFactory.create(national_one=True))
    client.force_login(user)
    elevate(client)
    return user


@pytest.fixture
def group() -> PilotGroup:
    """Make a group of three communes in two départements, with five weeks of two services."""
    group = PilotGroupFactory.create(name="Pilote d’essai")
    base, other = ServiceFactory.create(name="Socle", base=True), ServiceFactory.create(name="Autre")
    for code, name in (("01", "Bourg-Essai"), ("01", "Belley-Essai"), ("38", "Vif-Essai")):
        commune = CommuneFactory.create(name=name, department=DepartmentFactory.create(code=code))
        PilotMemberFactory.create(group=group, organization=commune)
        for weeks in range(5):
            week = LAST - timedelta(weeks=weeks)
            UsageSampleFactory.create(organization=commune, service=other, week=week, weekly_users=10 - weeks)
            if name == "Vif-Essai":
                UsageSampleFactory.create(organization=commune, service=base, week=week, weekly_users=1)
    return group


def local(client: Client, *departments: str) -> None:
    """Sign in somebody of an operator that serves these départements."""
    user = UserFactory.create()
    OperatorRoleFactory.create(user=user, operator=OperatorFactory.create(departments=list(departments)))
    client.force_login(user)
    elevate(client)


class TestPilot:
    def test_a_visitor_is_sent_to_sign_in(self, client: Client) -> None:
        response = client.get(URL)

        assert response.status_code == 302
        assert reverse("accounts:login") in response["Location"]

    def test_a_commune_s_agent_is_told_that_the_page_is_the_operators(self, client: Client, group: PilotGroup) -> None:
        client.force_login(UserFactory.create())

        response = client.get(URL)

        assert response.status_code == 403
        assert "réservée aux équipes des opérateurs" in response.text
        assert "Vif-Essai" not in response.text

    def test_the_anct_sees_every_collectivite_and_the_last_week_s_figures(
        self, client: Client, national: User, group: PilotGroup
    ) -> None:
        response = client.get(URL)

        assert response.status_code == 200
        figures = response.context["figures"]
        assert (figures.members, figures.using_base) == (3, 1)
        assert [(one.name, list(one.values)) for one in figures.series] == [
            ("Autre", [18, 21, 24, 27, 30]),
            ("Socle", [1, 1, 1, 1, 1]),
        ]
        assert "Semaine du 17 novembre 2025" in response.text

    def test_an_operator_sees_its_departements_only(self, client: Client, group: PilotGroup) -> None:
        local(client, "38")

        response = client.get(URL)

        assert (response.context["figures"].members, response.context["figures"].using_base) == (1, 1)
        assert "Vif-Essai" in response.text
        assert "Belley-Essai" not in response.text

    def test_an_operator_without_a_member_is_told_so(self, client: Client, group: PilotGroup) -> None:
        local(client, "56")

        assert "Aucune collectivité de votre territoire" in client.get(URL).text

    def test_before_any_group_exists_the_page_says_so(self, client: Client, national: User) -> None:
        assert "Aucune collectivité" in client.get(URL).text

    def test_a_group_without_samples_lists_its_collectivites(self, client: Client, national: User) -> None:
        member = PilotMemberFactory.create()

        response = client.get(URL)

        assert "Aucune mesure hebdomadaire" in response.text
        assert member.organization.name in response.text

    def test_the_period_of_the_address_shortens_the_weeks(
        self, client: Client, national: User, group: PilotGroup
    ) -> None:
        weeks = client.get(URL, {"depuis": "2025-11"}).context["figures"].weeks

        # The first of November is a Saturday: its week began in October.
        assert list(weeks) == [date(2025, 10, 27), date(2025, 11, 3), date(2025, 11, 10), LAST]

    @pytest.mark.parametrize("month", ["2025-13", "hier", "2025-11-01", "1999-01", "\x00", "9" * 5000])
    def test_a_period_that_is_none_gets_a_sentence_and_the_whole_period(
        self, client: Client, national: User, group: PilotGroup, month: str
    ) -> None:
        response = client.get(URL, {"depuis": month})

        assert response.status_code == 422
        assert "choisissez un mois de la liste" in response.text
        assert "<title>\n      Erreur" in response.text
        assert len(response.context["figures"].weeks) == 5

    def test_the_list_keeps_to_a_departement_the_figures_do_not(
        self, client: Client, national: User, group: PilotGroup
    ) -> None:
        response = client.get(URL, {"departement": "01"})

        assert [member.organization.name for member, _ in response.context["rows"]] == ["Belley-Essai", "Bourg-Essai"]
        assert response.context["figures"].members == 3

    def test_a_departement_of_nobody_gets_a_sentence(self, client: Client, national: User, group: PilotGroup) -> None:
        response = client.get(URL, {"departement": "99"})

        assert response.status_code == 422
        assert "choisissez un département de la liste" in response.text

    @pytest.mark.parametrize("page", ["0", "-1", "99", "abc", "\x00"])
    def test_a_page_that_is_none_shows_one_that_is(
        self, client: Client, national: User, group: PilotGroup, page: str
    ) -> None:
        assert client.get(URL, {"page": page}).status_code == 200

    @pytest.mark.parametrize("slug", ["inconnu", "é", "a" * 500])
    def test_an_unknown_group_is_not_found(self, client: Client, national: User, slug: str) -> None:
        assert client.get(URL, {"groupe": slug}).status_code == 404

    def test_a_week_without_report_is_a_gap_not_a_zero(self, client: Client, national: User, group: PilotGroup) -> None:
        missing = LAST - timedelta(weeks=2)
        UsageSample.objects.filter(week=missing, service__name="Socle").delete()

        socle = client.get(URL).context["figures"].series[1]

        assert list(socle.values) == [1, 1, None, 1, 1]

    def test_only_invented_samples_are_announced_as_such(
        self, client: Client, national: User, group: PilotGroup
    ) -> None:
        assert "Données de démonstration" not in client.get(URL).text

        UsageSampleFactory.create(
            organization=group.members.get(organization__name="Vif-Essai").organization, invented=True
        )

        assert "Données de démonstration" in client.get(URL).text

    def test_what_another_group_does_is_not_counted(self, client: Client, national: User, group: PilotGroup) -> None:
        UsageSampleFactory.create(weekly_users=1000)

        assert [one.values[-1] for one in client.get(URL).context["figures"].series] == [30, 1]

    def test_the_drawing_is_well_formed_and_has_no_style_of_its_own(
        self, client: Client, national: User, group: PilotGroup
    ) -> None:
        text = client.get(URL).text
        drawing = text[text.index("<svg") : text.index("</svg>") + 6]

        root = ET.fromstring(drawing)  # noqa: S314 - our own page
        assert len(root.findall(".//polyline")) == 2
        assert root.find("title") is not None
        assert root.find("desc") is not None
        assert "style=" not in text

    def test_the_page_costs_as_many_queries_for_forty_members(
        self,
        client: Client,
        national: User,
        group: PilotGroup,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        service = ServiceFactory.create()
        for _ in range(40):
            member = PilotMemberFactory.create(group=group)
            UsageSampleFactory.create(organization=member.organization, service=service)

        with django_assert_max_num_queries(15):
            response = client.get(URL, {"page": "2"})

        assert len(response.context["rows"]) == 18


class TestPilotCsv:
    def test_the_file_has_a_row_per_sample_of_the_reader_s_territory(self, client: Client, group: PilotGroup) -> None:
        local(client, "38")

        response = client.get(reverse("analytics:pilot_csv"))
        rows = list(csv.reader(io.StringIO(response.getvalue().decode("utf-8-sig")), delimiter=";"))

        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert f'filename="{group.slug}.csv"' in response["Content-Disposition"]
        assert len(rows) == 11
        assert rows[1][0] == "Vif-Essai"
        assert rows[1][2:] == ["38", "Socle", "2025-10-20", "1", "mesurées"]

    @pytest.mark.parametrize("name", ["=1+1", "+33", "-2", "@somme", "\t=1"])
    def test_a_name_is_never_a_formula(self, client: Client, national: User, group: PilotGroup, name: str) -> None:
        for member in group.members.select_related("organization"):
            type(member.organization).objects.filter(pk=member.organization_id).update(name=name)

        content = client.get(reverse("analytics:pilot_csv")).getvalue().decode("utf-8-sig")

        rows = list(csv.reader(io.StringIO(content), delimiter=";"))[1:]
        assert {row[0] for row in rows} == {f"'{name}"}

    def test_a_commune_s_agent_gets_none_of_it(self, client: Client, group: PilotGroup) -> None:
        client.force_login(UserFactory.create())

        assert client.get(reverse("analytics:pilot_csv")).status_code == 403
