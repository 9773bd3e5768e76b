"""Who is onboarded, and what each asks: the first eligible communes, each with the mailboxes of its size."""

import random
from collections.abc import Iterator

from django.conf import settings

from onboarding.intake.names import slug
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.quota_watch import FICHIERS, MESSAGES
from onboarding.provisioning.workflow import MailboxPlan, Plan
from suite.catalog.models import GB
from suite.directory import eligibility, lookup
from suite.directory.models import Operator, Organization

PROCONNECT = 58
SHARED = (("mairie", "Mairie"), ("urbanisme", "Urbanisme"), ("etat-civil", "État civil"), ("ecole", "École"))
GIVEN = ("jeanne", "michel", "catherine", "philippe", "nathalie", "alain", "isabelle", "bernard", "sylvie", "patrick")
FAMILY = ("martin", "bernard", "thomas", "petit", "robert", "richard", "durand", "dubois", "moreau", "laurent")
FEW, MORE = 500, 2000  # inhabitants


def eligible(count: int) -> list[Organization]:
    """Return the first communes that may be served, by INSEE code."""
    rule, found = lookup.current_rule(), []
    for commune in Organization.objects.current().filter(kind=Organization.Kind.COMMUNE).order_by("code"):
        subject = eligibility.Subject(
            name=commune.name,
            kind=commune.kind,
            nature=commune.nature,
            zone=commune.zone,
            siren=commune.siren,
            population=commune.population,
            population_year=commune.population_year,
        )
        # Operators change who serves, never who is eligible.
        if eligibility.judge(subject, rule).eligible:
            found.append(commune)
            if len(found) == count:
                break
    return found


def plans(communes: list[Organization], operator: Operator, seed: int) -> Iterator[Plan]:
    """Yield the plan of each commune; the same seed gives the same plans."""
    taken: set[str] = set()
    for commune in communes:
        label = slug(commune.name)
        if label in taken:
            label = f"{label}-{commune.code.lower()}"
        taken.add(label)
        chance = random.Random(f"{seed}|{commune.code}")  # noqa: S311 - the same each time, on purpose
        yield Plan(
            organization=commune,
            operator=operator,
            domain=f"{label}.{settings.COLLECTIVITE_ZONE}",
            zone_kind=Deployment.ZoneKind.SHARED,
            welcome_email=f"secretaire@{label}.example",
            mailboxes=tuple(_mailboxes(commune, chance)),
            storage_quota=10 * GB,
            service_ids=(PROCONNECT, MESSAGES, FICHIERS),
        )


def _mailboxes(commune: Organization, chance: random.Random) -> Iterator[MailboxPlan]:
    population = commune.population or 0
    shared = 1 + (population > FEW) + 2 * (population > MORE)
    for local_part, name in SHARED[:shared]:
        yield MailboxPlan(local_part, name, "shared", "secretaire@ailleurs.example")
    names = {(chance.choice(GIVEN), chance.choice(FAMILY)) for _ in range(1 + (population > FEW) + (population > MORE))}
    for given, family in sorted(names):
        yield MailboxPlan(f"{given}.{family}", f"{given} {family}".title(), "personal", "agent@ailleurs.example")
