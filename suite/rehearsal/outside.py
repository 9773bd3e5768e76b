"""What is there, seen from outside: the DNS by its protocol, the rest by each backend's own listings."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.utils.module_loading import import_string

from onboarding.audits.engine import Engine, Gatherer, Manners, Question
from onboarding.audits.facts import Lookup
from onboarding.audits.resolver import server_of
from onboarding.provisioning.backends import world
from onboarding.provisioning.backends.protocols import Dns, Mail, Storage
from onboarding.provisioning.workflow import Plan
from suite.catalog.models import Subscription
from suite.notices.models import Notice
from suite.rehearsal.asked import asked, backend

SHOWN = 20  # differences named; all are counted


@dataclass
class Differences:
    """Between what was asked and what is there."""

    missing: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.missing or self.duplicated or self.foreign)

    def compare(self, what: str, wanted: Iterable[object], found: Iterable[object]) -> None:
        """Compare two lists of which each item is there once."""
        asked, there = Counter(map(str, wanted)), Counter(map(str, found))
        self.missing += [f"{what} {each}" for each in sorted(asked.keys() - there.keys())]
        self.foreign += [f"{what} {each}" for each in sorted(there.keys() - asked.keys())]
        self.duplicated += [f"{what} {each}" for each in sorted(asked.keys() & there.keys()) if there[each] > 1]


def compare(plans: list[Plan], *, local: frozenset[str]) -> Differences:
    """Look at everything; `local`: the roles whose backend keeps a log of what it made, where « twice » shows."""
    seen = Differences()
    owners = {plan.domain: f"organization:{plan.organization.pk}" for plan in plans}
    _dns(seen, owners)
    _mail(seen, plans, owners)
    _storage(seen, plans, owners)
    if local:
        made = Counter(f"{each['what']} {each['key']}" for each in world.listing()["created"])
        seen.duplicated += [f"made twice: {what}" for what, times in sorted(made.items()) if times > 1]
    _told(seen, plans)
    return seen


def _dns(seen: Differences, owners: dict[str, str]) -> None:
    dns: Dns = import_string(backend("dns"))()
    ours = {settings.COLLECTIVITE_ZONE, *asked()["zones"]}
    zones = [(each.name, each.owner) for each in dns.zones() if each.name not in ours]
    seen.compare("zone", owners.items(), zones)
    mail: Mail = import_string(backend("mail"))()
    there, known = {name for name, _ in zones}, {each.name for each in mail.domains()}
    specs = {domain: mail.spec(domain) for domain in owners if domain in there and domain in known}
    found: list[tuple[str, dict[str, Lookup]]] = []
    engine = Engine([server_of(settings.DNS_RESOLVER)], manners=Manners(timeout=2.0, attempts=3))
    engine.run((_look(domain, spec.dkim_selector) for domain, spec in specs.items()), found.append)
    for domain, answers in found:
        spec = specs[domain]
        wanted = {
            "MX": {f"{preference} {host}".lower() for preference, host in spec.mx},
            "SPF": {f"v=spf1 {spec.spf} -all"},
            "DKIM": {spec.dkim},
        }
        for what, values in wanted.items():
            seen.compare(
                f"{what} of {domain}",
                values,
                [v for v in answers[what].values if what != "SPF" or v.startswith("v=spf1")],
            )
        policy = [value for value in answers["DMARC"].values if value.startswith("v=DMARC1; p=reject")]
        seen.compare(f"DMARC of {domain}", ["v=DMARC1; p=reject"], [value[:18] for value in policy])
        if not answers["NS"].values:
            seen.missing.append(f"NS of {domain}")


def _look(domain: str, selector: str) -> Gatherer[tuple[str, dict[str, Lookup]]]:
    answers = yield [
        Question(domain, "MX"),
        Question(domain, "TXT"),
        Question(f"{selector}._domainkey.{domain}", "TXT"),
        Question(f"_dmarc.{domain}", "TXT"),
        Question(domain, "NS"),
    ]
    return domain, dict(zip(("MX", "SPF", "DKIM", "DMARC", "NS"), answers, strict=True))


def _mail(seen: Differences, plans: list[Plan], owners: dict[str, str]) -> None:
    mail: Mail = import_string(backend("mail"))()
    domains = [(each.name, each.owner) for each in mail.domains()]
    seen.compare("mail domain", owners.items(), domains)
    known = {name for name, _ in domains}
    for plan in plans:
        if plan.domain not in known:
            continue
        wanted = [(f"{box.local_part}@{plan.domain}", box.kind, box.display_name) for box in plan.mailboxes]
        there = [(box.address, box.kind, box.display_name) for box in mail.mailboxes(plan.domain)]
        seen.compare("mailbox", wanted, there)


def _storage(seen: Differences, plans: list[Plan], owners: dict[str, str]) -> None:
    storage: Storage = import_string(backend("storage"))()
    spaces = {f"org-{plan.organization.pk}": plan for plan in plans}
    listed = [(each.name, each.owner) for each in storage.spaces()]
    seen.compare("space", ((space, owners[plan.domain]) for space, plan in spaces.items()), listed)
    for space in {name for name, _ in listed} & spaces.keys():
        there = storage.space(space)
        seen.compare("quota of space", [(space, spaces[space].storage_quota)], [(space, there.quota)])
        if there.access_key is None:
            seen.missing.append(f"key of space {space}")


def _told(seen: Differences, plans: list[Plan]) -> None:
    """Each commune has its services, and one welcome."""
    subscriptions = Subscription.objects.filter(active=True).values_list("organization", "service")
    wanted = [(plan.organization.pk, service) for plan in plans for service in plan.service_ids]
    seen.compare("service", wanted, subscriptions)
    notices = Notice.objects.filter(kind="welcome").values_list("recipient", flat=True)
    seen.compare("welcome", [plan.welcome_email for plan in plans], notices)
