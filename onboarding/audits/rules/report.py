"""The whole report of one collectivité: 16 criteria, what lies beyond, and the groups (`presence.md`, 2.1 to 2.3)."""

from dataclasses import dataclass, replace

from onboarding.audits.declared import Declaration
from onboarding.audits.facts import Facts
from onboarding.audits.lists import Lists, shipped
from onboarding.audits.mail_facts import ServerFacts
from onboarding.audits.rules import declared, mail, servers, web
from onboarding.audits.rules.finding import Finding, State, depends
from onboarding.audits.web_facts import WebFacts

SITE = ("1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8")
MAIL = ("2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8")
CRITERIA = (*SITE, *MAIL)

# What each criterion stands on, the deepest first.
DEPENDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("1.2", "1.3", "1.8"), ("1.1",)),
    **dict.fromkeys(("1.4", "1.5", "1.6", "1.7"), ("1.1", "1.3")),
    **dict.fromkeys(("2.2", "2.4"), ("2.1",)),
    "2.3": ("1.1", "2.1", "2.2"),
    **dict.fromkeys(("2.5", "2.6", "2.8"), ("2.1", "2.4")),
    "2.7": ("2.1", "2.4", "2.6"),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "1.a": SITE[:6],
    "1.aa": SITE,
    "2.a": ("2.1", "2.2", "2.3", "2.4", "2.5", "2.8"),
    "2.aa": MAIL,
    "a": (*SITE[:6], "2.1", "2.2", "2.3", "2.4", "2.5", "2.8"),
    "aa": CRITERIA,
}


@dataclass(frozen=True)
class Case:
    """Everything gathered about one collectivité; None where nothing was."""

    declaration: Declaration
    mail: Facts | None = None
    web: WebFacts | None = None
    servers: ServerFacts | None = None


@dataclass(frozen=True)
class Report:
    """The findings in order, by id, and the state of each group."""

    findings: dict[str, Finding]
    groups: dict[str, State]

    @property
    def points(self) -> int:
        """What the map counts: 2 for both halves, 1 for one, 0 otherwise."""
        return (self.groups["1.a"] == "pass") + (self.groups["2.a"] == "pass")


def report(case: Case, lists: Lists | None = None) -> Report:
    """Judge everything."""
    lists = lists or shipped()
    said = declared.judge(case.declaration, lists)
    own = dict(said.findings)
    if case.web is not None and said.site is not None:
        own |= web.judge(case.web, said.site, lists)
        own["B6"] = servers.caa((each for each in case.web.names if each.type == "CAA"), _issuer(case.web), lists)
    if case.mail is not None and said.domain is not None:
        own |= {finding.id: finding for finding in mail.judge(case.mail)}
        own |= servers.beyond(case.mail, case.servers, case.web.names if case.web else ())
        if case.servers is not None:
            own["2.8"] = servers.location(case.mail, case.servers, lists)
    found = {
        rule: own.get(rule, Finding(rule, "unknown", "not_asked", "Ce point n’a pas été vérifié.")) for rule in CRITERIA
    }
    settled = {rule: _stand(rule, found) for rule in CRITERIA}
    if said.waived:
        sentence = "Sans site en propre à comparer, ce point n’est pas exigé."
        settled["2.3"] = replace(settled["2.3"], state="not_required", reason="waived", sentence=sentence)
    beyond = sorted(set(own) - set(settled), key=lambda rule: int(rule[1:]))
    settled |= {rule: own[rule] for rule in beyond}
    return Report(settled, {group: _group(members, settled) for group, members in GROUPS.items()})


def _stand(rule: str, found: dict[str, Finding]) -> Finding:
    """Return a finding as what it stands on leaves it; the deepest cause is the one named."""
    finding = found[rule]
    # A mail domain that could never be the site's says more of 2.3 than the lack of a site.
    standing = [
        found[below] for below in DEPENDS.get(rule, ()) if (rule, below, finding.state) != ("2.3", "1.1", "fail")
    ]
    for below in standing:
        if below.state == "fail":
            return depends(finding, below)
    for below in standing:
        finding = depends(finding, below)
    return finding


def _issuer(facts: WebFacts) -> str:
    return facts.certificate.issuer if facts.certificate else ""


def _group(members: tuple[str, ...], found: dict[str, Finding]) -> State:
    states = {found[member].state for member in members}
    if "fail" in states:
        return "fail"
    return "unknown" if "unknown" in states else "pass"
