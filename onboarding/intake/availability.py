"""Is a name free, and does it tell which commune bears it? Answered from our own tables."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q, QuerySet

from onboarding.intake import names
from onboarding.intake.models import Dossier, NameChoice
from onboarding.provisioning.models import Deployment
from suite.directory.models import Department, Name, Organization


class Availability(NamedTuple):
    """`code` is "free", "taken", "pending_conflict" or "unknown"; `note` says it in French."""

    code: str
    note: str


TAKEN = "Ce nom est déjà utilisé par une collectivité de La Suite territoriale."


def taken(wanted: Iterable[str]) -> set[str]:
    """Return those of the names that a live deployment holds. One query."""
    return set(
        Deployment.objects.filter(domain__in=list(wanted), closed_at__isnull=True).values_list("domain", flat=True)
    )


def check_name(fqdn: str, family: str, dossier: Dossier) -> Availability:
    """Say whether a normalised name is free for this dossier. Two queries; no network."""
    if taken([fqdn]):
        return Availability("taken", TAKEN)
    if holds(fqdn, dossier).exists():
        return Availability(
            "pending_conflict", "Une autre demande porte sur ce nom\u00a0: il ira à la première demande acceptée."
        )
    return unheld(family)


def unheld(family: str) -> Availability:
    """Say what is known of a name that nobody holds in our tables."""
    if family == Dossier.Family.SHARED:
        return Availability("free", "Ce nom est libre aujourd’hui.")
    if family == Dossier.Family.NEW:
        return Availability("unknown", "L’opérateur vérifiera auprès du registre que ce nom est libre.")
    return Availability("unknown", "L’opérateur vérifiera que la collectivité détient ce nom.")


def holds(fqdn: str, dossier: Dossier) -> QuerySet[NameChoice]:
    """Return the other open dossiers that wish the name or one too like it; a hold falls with its dossier."""
    return (
        NameChoice.objects.filter(Q(fqdn=fqdn) | Q(skeleton=names.skeleton(fqdn)), rank=0)
        .filter(dossier__status__in=Dossier.OPEN)
        .exclude(dossier=dossier)
        .exclude(fqdn="")
    )


def namesakes(organization: Organization) -> list[str]:
    """Return the names of others that would give this organization's label: past ones, départements and regions too.

    One query.
    """
    folded = Name.objects.filter(organization=organization, kind=Name.Kind.CURRENT).values("folded")
    others = Name.objects.filter(folded__in=folded).exclude(organization=organization).order_by().values_list("name")
    departments = Department.objects.order_by()
    rows = others.union(departments.values_list("name"), departments.exclude(region="").values_list("region"))
    wanted = names.slug(organization.name)
    return [name for (name,) in rows if names.slug(name) == wanted]


def labels(organization: Organization) -> list[str]:
    """Return the labels that say which organization this is, the most natural first. One query."""
    is_commune = organization.kind == Organization.Kind.COMMUNE
    return names.labels_of(
        organization.name,
        department=organization.department_id or "",
        postcode=organization.postcodes[0] if is_commune and organization.postcodes else "",
        insee=organization.code if is_commune else "",
        shared=bool(namesakes(organization)),
    )


def suggestions(organization: Organization, family: str, ladder: list[str]) -> list[str]:
    """Return up to four names to propose, free in our tables; none for a name that already exists. One query."""
    if family == Dossier.Family.EXISTING:
        return []
    extension = "fr" if family == Dossier.Family.NEW else settings.COLLECTIVITE_ZONE
    wished = [f"{label}.{extension}" for label in ladder[:8]]
    taken = set(
        Deployment.objects.filter(domain__in=wished, closed_at__isnull=True)
        .exclude(organization=organization)
        .values_list("domain", flat=True)
    )
    return [name for name in wished if name not in taken][:4]


def tells_the_commune(fqdn: str, ladder: list[str]) -> bool:
    """Whether the first label of the name is on the commune's ladder, hyphens and « saint » or « st » aside."""
    return _plain(fqdn.split(".", maxsplit=1)[0]) in {_plain(label) for label in ladder}


def _plain(label: str) -> str:
    return re.sub(r"(^|-)saint(e?)-", r"\1st\2-", label).replace("-", "")
