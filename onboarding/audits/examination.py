"""One declaration looked at, now: what `manage.py audit` and the page on demand do."""

from datetime import UTC, datetime
from typing import Any

from onboarding.audits import declared, lists, location
from onboarding.audits.confirmation import settle
from onboarding.audits.declared import Declaration
from onboarding.audits.facts import Facts
from onboarding.audits.gathering import mail
from onboarding.audits.mail_facts import ServerFacts
from onboarding.audits.remedies import remedy
from onboarding.audits.resolver import Lookups, drive
from onboarding.audits.rules import RULESET, servers
from onboarding.audits.rules import declared as declared_rules
from onboarding.audits.rules.report import Case, Report, report
from onboarding.audits.web import Prober

RPNT_VERSION = "0.2.1"


def examine(declaration: Declaration, by: Lookups) -> Case:
    """Gather everything the rules judge. Asks the DNS through `by`, and the declared site itself."""
    said = declared_rules.judge(declaration, lists.shipped())
    prober = Prober(by)
    facts = drive(mail(said.domain), by) if said.domain else None
    web = prober.gather(said.site) if said.site else None
    return Case(declaration, facts, web, around(prober, facts) if facts is not None else None)


def around(prober: Prober, facts: Facts) -> ServerFacts:
    """Look at the mail servers of a domain: where they are, whether they encrypt, and the policy announced."""
    countries, located_on = location.locate(servers.addresses(facts))
    announced = any(each.name == f"_mta-sts.{facts.domain}" and each.values for each in facts.others)
    policy = prober.policy(facts.domain) if announced else None
    return ServerFacts(countries, located_on, prober.starttls(servers.hosts(facts)), policy)


def to_confirm(judged: Report) -> frozenset[str]:
    """Return the failures that a second attempt has yet to confirm, when this was the first (ruling 22)."""
    pending = settle(judged.findings, datetime.now(UTC)).pending
    return frozenset(rule for rule, waiting in pending.items() if waiting["state"] == "fail")


def as_json(case: Case, judged: Report | None = None) -> dict[str, Any]:
    """Return facts, verdicts, evidence and remedies, as `manage.py audit --json` prints them."""
    judged = judged or report(case)
    waiting = to_confirm(judged)
    domain = declared.mail_domain(case.declaration.email) or (case.mail.domain if case.mail else "")
    return {
        "rpnt_version": RPNT_VERSION,
        "ruleset": RULESET,
        "declaration": {
            "email": case.declaration.email,
            "site": case.declaration.site,
            "record": case.declaration.record,
            "imported_at": case.declaration.imported_at,
            "site_owner": case.declaration.site_owner,
            "mail_owner": case.declaration.mail_owner,
        },
        "groups": judged.groups,
        "findings": [
            finding.as_json()
            | {
                "to_confirm": finding.id in waiting,
                "remedy": vars(mending) if (mending := remedy(finding, domain)) else None,
            }
            for finding in judged.findings.values()
        ],
        "facts": {
            "mail": case.mail.as_json() if case.mail else None,
            "web": case.web.as_json() if case.web else None,
            "servers": case.servers.as_json() if case.servers else None,
        },
    }
