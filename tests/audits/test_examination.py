"""One declaration looked at without a network: the mail judged, the probes that could not reach anything unknown."""

import json

import pytest

from onboarding.audits import declarations
from onboarding.audits.declared import Declaration
from onboarding.audits.examination import RPNT_VERSION, as_json, examine
from onboarding.audits.rules import RULESET
from onboarding.audits.rules.report import CRITERIA, report
from suite.directory.models import Organization
from tests.audits.golden import Zone, rows
from tests.factories.directory import CommuneFactory, DeclaredContactFactory

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
        contact = DeclaredContactFactory(
            declared_email="mairie@exemple.fr", declared_site="https://exemple.fr/", record="r-1"
        )
        said = declarations.declaration_of(Organization.objects.get(pk=contact.organization_id))
        assert (said.email, said.site, said.record) == ("mairie@exemple.fr", "https://exemple.fr/", "r-1")
        assert said.imported_at == contact.observed_on.isoformat()

    def test_the_first_address_counts_where_the_raw_one_is_not_kept(self) -> None:
        contact = DeclaredContactFactory(declared_email="", emails=["un@exemple.fr", "deux@exemple.fr"])
        assert declarations.declaration_of(contact.organization).email == "un@exemple.fr"

    def test_a_commune_unknown_to_the_directory_declares_nothing(self) -> None:
        assert declarations.declaration_of(CommuneFactory()) == Declaration()
