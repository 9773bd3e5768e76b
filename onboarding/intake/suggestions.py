"""Which names tell a collectivité apart from all others: its namesakes, its ladder, what to propose."""

import re
from typing import NamedTuple

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, Q, Value

from onboarding.intake import names
from onboarding.intake.models import Dossier
from suite.directory.folding import fold
from suite.directory.models import Department, Name, Organization

MOST = 4


class Namesake(NamedTuple):
    """Something else that bears the name: a commune, past or present, an EPCI, a département, a region."""

    name: str
    what: str
    label: str
    current: bool = False
    department: str = ""
    postcodes: tuple[str, ...] = ()


def relatives(organization: Organization) -> list[Namesake]:
    """Return whatever else has this name, article and qualifier aside, one of each. One query, once per object.

    « La Celle » and « Celle » are relatives; only those whose `label` is the same are namesakes.
    """
    kept: list[Namesake] | None = organization.__dict__.get("_relatives")
    if kept is None:
        kept = organization.__dict__["_relatives"] = _relatives(organization)
    return kept


def _relatives(organization: Organization) -> list[Namesake]:
    base = fold(re.sub(r"\([^)]*\)", " ", organization.name))
    # « Bors (Canton de Tude-et-Lavalette) » is folded with its qualifier.
    alike = Q(folded=base) | Q(folded__startswith=f"{base} ", name__contains="(")
    none = Value([], output_field=ArrayField(CharField(max_length=5)))
    blank = Value("")
    departments = Department.objects.order_by()
    rows = (
        Name.objects.filter(alike)
        .exclude(organization=organization)
        .order_by()
        .values_list("name", "kind", "organization__kind", "organization__department", "organization__postcodes")
        .union(
            departments.values_list("name", Value("département"), blank, "code", none),
            departments.exclude(region="").values_list("region", Value("région"), blank, blank, none),
        )
    )
    found = [
        Namesake(
            name,
            _what(kind, organization_kind),
            names.slug(name),
            current=kind == Name.Kind.CURRENT and organization_kind == Organization.Kind.COMMUNE,
            department=department or "",
            postcodes=tuple(postcodes),
        )
        for name, kind, organization_kind, department, postcodes in sorted(rows, key=lambda row: (row[3] or "", row[0]))
        if fold(re.sub(r"\([^)]*\)", " ", name)) == base or names.slug(name) == names.slug(organization.name)
    ]
    return list(dict.fromkeys(found))


def _what(kind: str, organization_kind: str) -> str:
    if not organization_kind:
        return kind
    if organization_kind == Organization.Kind.EPCI:
        return "intercommunalité"
    return "commune" if kind == Name.Kind.CURRENT else Name.Kind(kind).label


def namesakes(organization: Organization) -> list[Namesake]:
    """Return the others that would give this organization's label. One query, once per object."""
    wanted = names.slug(organization.name)
    return [one for one in relatives(organization) if one.label == wanted]


def labels(organization: Organization) -> list[str]:
    """Return the labels that say which organization this is, the most natural first. One query, once per object."""
    is_commune = organization.kind == Organization.Kind.COMMUNE
    others = relatives(organization)
    postcode = organization.postcodes[0] if is_commune and organization.postcodes else ""
    communes = [one for one in others if one.current]
    return names.labels_of(
        organization.name,
        department=organization.department_id or "",
        postcode=postcode,
        insee=organization.code if is_commune else "",
        shared=bool(namesakes(organization)),
        short_shared=bool(others),
        # A suffix that a namesake has too tells nobody apart.
        used={one.department for one in communes} | {code for one in communes for code in one.postcodes},
        prefixes=("mairie", "ville", "commune") if is_commune else (),
    )


def extension_of(family: str) -> str:
    """Return the extension that a bare label of the family takes, "" where there is none."""
    if family == Dossier.Family.SHARED:
        return str(settings.COLLECTIVITE_ZONE)
    return "fr" if family == Dossier.Family.NEW else ""


def candidates(family: str, ladder: list[str]) -> tuple[list[str], list[str]]:
    """Return the names to propose, and those to propose as alternatives only; none for a name that exists."""
    extension = extension_of(family)
    if not extension:
        return [], []
    short = [other for label in ladder[:3] for other in names.abbreviations(label)]
    return [f"{one}.{extension}" for one in ladder[:10]], [f"{one}.{extension}" for one in dict.fromkeys(short)]


def tells_the_commune(fqdn: str, ladder: list[str]) -> bool:
    """Whether the first label of the name is on the commune's ladder, hyphens and « saint » or « st » aside."""
    return _plain(fqdn.split(".", maxsplit=1)[0]) in {_plain(label) for label in ladder}


def _plain(label: str) -> str:
    return re.sub(r"(^|-)saint(e?)-", r"\1st\2-", label).replace("-", "")
