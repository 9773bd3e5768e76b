"""One declaration looked at without a network: the mail judged, the probes that could not reach anything unknown."""

import json

import pytest
from pytest_django import DjangoAssertNumQueries

from onboarding.audits import declarations
from onboarding.audits.declared import Declaration
from onboarding.audits.examination import RPNT_VERSION, as_json, examine
from onboarding.audits.rules import RULESET
from onboarding.audits.rules.report import CRITERIA, report
from suite.directory.models import Organization
from tests.audits.golden import Zone, rows
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, EpciFactory

ROW = next(row for row in rows() if row.domain == "sans-mx.fr")


def test_what_the_dns_does_not_hold_is_seen_by_the_probes_too() -> None:
    case = examine(ROW.declaration, Zone(ROW.records()))
    found = report(case).findings
    assert case.web is not None
    assert (found["2.4"].state, found["2.4"].reason) == ("fail", "no_mx")
    assert found["1.3"].state == "fail"  # sans-mx.fr has an address of documentation: private
    assert found["1.3"].reason == "private_address"
    assert found["B9"].state == "unknown"


def test_a_declaration_without_anything_asks_nothing() -> None:
    case = examine(Declaration(), Zone({}))
    assert (case.mail, case.web, case.servers) == (None, None, None)


def test_the_answer_holds_facts_verdicts_evidence_and_remedies() -> None:
    answer = json.loads(json.dumps(as_json(ROW.case())))
    assert (answer["rpnt_version"], answer["ruleset"]) == (RPNT_VERSION, RULESET)
    assert answer["declaration"]["email"] == "mairie@sans-mx.fr"
    found = {each["id"]: each for each in answer["findings"]}
    assert set(CRITERIA) <= set(found)
    assert found["2.4"]["state"] == "fail"
    assert found["2.4"]["remedy"]["record"].startswith("sans-mx.fr. IN MX")
    assert found["1.1"]["remedy"] is None
    assert answer["facts"]["mail"]["mx"]["outcome"] == "none"
    assert answer["facts"]["web"]["declared"]["hops"][0]["status"] == 200
    assert answer["groups"]["2.a"] == "fail"


def test_a_declared_address_malformed_leaves_the_domain_out_of_the_records() -> None:
    answer = as_json(examine(Declaration(email="mairie"), Zone({})))
    assert answer["facts"] == {"mail": None, "web": None, "servers": None}


@pytest.mark.django_db
class TestDeclarations:
    def test_what_a_commune_declares(self) -> None:
        contact = DeclaredContactFactory.create(
            declared_email="mairie@exemple.fr", declared_site="https://exemple.fr/", record="r-1"
        )
        said = declarations.declaration_of(Organization.objects.get(pk=contact.organization_id))
        assert (said.email, said.site, said.record) == ("mairie@exemple.fr", "https://exemple.fr/", "r-1")
        assert said.imported_at == contact.observed_on.isoformat()

    def test_the_first_address_counts_where_the_raw_one_is_not_kept(self) -> None:
        contact = DeclaredContactFactory.create(declared_email="", emails=["un@exemple.fr", "deux@exemple.fr"])
        assert declarations.declaration_of(contact.organization).email == "un@exemple.fr"

    def test_a_commune_unknown_to_the_directory_declares_nothing(self) -> None:
        assert declarations.declaration_of(CommuneFactory.create()) == Declaration()


@pytest.mark.django_db
class TestBorrowedDomains:
    """A commune on the domain of its EPCI borrows it (upstream lets it pass)."""

    @pytest.fixture(autouse=True)
    def _epci(self) -> None:
        epci = EpciFactory.create(name="CC du Haut Bocage")
        DeclaredContactFactory.create(
            organization=epci, declared_email="contact@haut-bocage.fr", declared_site="https://www.haut-bocage.fr/"
        )

    def said(self, name: str, email: str, site: str = "") -> Declaration:
        commune = CommuneFactory.create(name=name)
        DeclaredContactFactory.create(organization=commune, declared_email=email, declared_site=site)
        return declarations.declaration_of(Organization.objects.get(pk=commune.pk))

    def test_mail_and_site_under_the_domain_of_the_epci(self) -> None:
        said = self.said("Petit-Bois", "petit-bois@haut-bocage.fr", "https://petit-bois.haut-bocage.fr/")
        assert (said.mail_owner, said.site_owner) == ("CC du Haut Bocage", "CC du Haut Bocage")
        assert report(examine(Declaration(**vars(said)), Zone({}))).findings["1.1"].reason == "site_borrowed"

    def test_one_s_own_domain_is_not_borrowed(self) -> None:
        said = self.said("Petit-Bois", "mairie@petit-bois.fr", "https://www.petit-bois.fr/")
        assert (said.mail_owner, said.site_owner) == ("", "")

    @pytest.mark.parametrize("domain", ["grandville.fr", "mairie-grandville.fr", "ville-de-grandville.fr"])
    def test_the_town_whose_name_the_domain_carries_is_at_home(self, domain: str) -> None:
        DeclaredContactFactory.create(
            organization=EpciFactory.create(name="CA de Grandville"), declared_email=f"agglo@{domain}", declared_site=""
        )
        assert self.said("Grandville", f"mairie@{domain}").mail_owner == ""
        assert self.said("Petite-Ville", f"petite@{domain}").mail_owner == "CA de Grandville"

    def test_a_domain_that_says_more_than_the_town_s_name_is_the_epci_s(self) -> None:
        DeclaredContactFactory.create(
            organization=EpciFactory.create(name="Grandville Métropole"), declared_email="a@grandville-metropole.fr"
        )
        assert self.said("Grandville", "mairie@grandville-metropole.fr").mail_owner == "Grandville Métropole"

    def test_generic_domains_and_platforms_give_no_ownership(self) -> None:
        DeclaredContactFactory.create(
            organization=EpciFactory.create(),
            declared_email="cc.essai@orange.fr",
            declared_site="https://cc.over-blog.com/",
        )
        assert not {"orange.fr", "over-blog.com"} & set(declarations.owners())
        assert self.said("Petit-Bois", "petit-bois@orange.fr").mail_owner == ""

    def test_neighbours_under_a_shared_suffix_borrow_nothing(self) -> None:
        DeclaredContactFactory.create(organization=EpciFactory.create(), declared_email="contact@cc-x.collectivite.fr")
        assert self.said("Petit-Bois", "mairie@petit-bois.collectivite.fr").mail_owner == ""

    def test_an_epci_never_borrows_and_a_closed_one_owns_nothing(self) -> None:
        closed = EpciFactory.create(closed=True)
        DeclaredContactFactory.create(organization=closed, declared_email="contact@ancienne-cc.fr")
        assert "ancienne-cc.fr" not in declarations.owners()
        twin = EpciFactory.create()
        DeclaredContactFactory.create(organization=twin, declared_email="twin@haut-bocage.fr")
        assert declarations.declaration_of(twin).mail_owner == ""

    def test_owners_come_by_one_query_whatever_their_number(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        DeclaredContactFactory.create_batch(3, organization__kind=Organization.Kind.EPCI)
        with django_assert_max_num_queries(1):
            declarations.owners()
