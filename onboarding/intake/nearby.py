"""« Demandes proches »: the dossiers that may be the same one twice, or that a reader would confuse with this one."""

from typing import NamedTuple
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery

from onboarding.intake import acting
from onboarding.intake.models import Dossier, NameChoice
from suite.accounts.mandate_models import Document

MOST = 20
NEIGHBOURS = 2000


class Near(NamedTuple):
    """A dossier, and in what it is near."""

    dossier: Dossier
    reasons: list[str]


SAME = {
    "organization": "Même collectivité",
    "name": "Même nom, ou un nom qu’on confondrait",
    "neighbour": "À une lettre du nom d’une commune du même département",
    "requester": "Même demandeur, autre collectivité",
    "document": "Même document d’habilitation",
}


def near(dossier: Dossier) -> list[Near]:
    """Return the nearest dossiers first, twenty at most. Five queries, each on an index."""
    skeletons = {choice.skeleton for choice in dossier.names.all() if choice.skeleton}
    sent = Dossier.objects.filter(submitted_at__isnull=False).exclude(pk=dossier.pk)
    open_others = sent.filter(status__in=Dossier.OPEN)
    found = {
        "organization": _keys(sent.filter(Q(organization=dossier.organization_id) | _past(dossier))),
        "name": _keys(open_others.filter(names__skeleton__in=skeletons)) if skeletons else [],
        "neighbour": _one_edit_away(dossier, skeletons),
        "requester": _keys(open_others.filter(_requester(dossier)).exclude(organization=dossier.organization_id)),
        "document": _keys(sent.filter(_document(dossier))),
    }
    reasons: dict[UUID, list[str]] = {}
    for code, keys in found.items():
        for key in keys:
            reasons.setdefault(key, []).append(code)
    if not reasons:
        return []
    wish = NameChoice.objects.filter(dossier=OuterRef("pk"), rank=0).values("fqdn")[:1]
    rows = (
        Dossier.objects.filter(pk__in=reasons)
        .select_related("organization", "operator", "assignee")
        .annotate(wish=Subquery(wish))
        .order_by("-submitted_at")
    )
    ranked = sorted(rows, key=lambda one: -len(reasons[one.pk]))[:MOST]
    return [Near(one, [SAME[code] for code in dict.fromkeys(reasons[one.pk])]) for one in ranked]


def _keys(dossiers: QuerySet[Dossier]) -> list[UUID]:
    return list(dossiers.order_by().values_list("pk", flat=True).distinct()[:MOST])


def _past(dossier: Dossier) -> Q:
    """Match what a commune merged into this one had asked, and the other way round."""
    successor = dossier.organization.successor_id
    merged = Q(organization__successor=dossier.organization_id)
    return merged | Q(organization=successor) if successor else merged


def _requester(dossier: Dossier) -> Q:
    same = Q(requester_email=dossier.requester_email) if dossier.requester_email else Q(pk__in=[])
    # An operator prepares dossiers for many communes: that says nothing.
    return same if acting.is_assisted(dossier) else same | Q(author=dossier.author_id)


def _document(dossier: Dossier) -> Q:
    """Match whoever handed in the very file that stands behind this dossier."""
    own = Q(proof__case=dossier.pk) | Q(proof__user=dossier.author_id, proof__organization=dossier.organization_id)
    digests = Document.objects.filter(own).values("sha256")
    same = Document.objects.filter(sha256__in=digests)
    others = same.exclude(proof__organization=dossier.organization_id)
    return Q(organization__in=others.values("proof__organization")) | Q(pk__in=same.values("proof__case"))


def _one_edit_away(dossier: Dossier, skeletons: set[str]) -> list[UUID]:
    """Compare with the open dossiers of the département: one per commune at most, a few hundred."""
    department = dossier.organization.department_id
    if not skeletons or not department:
        return []
    rows = (
        NameChoice.objects.filter(
            dossier__organization__department=department, dossier__status__in=Dossier.OPEN, rank=0
        )
        .exclude(dossier=dossier.pk)
        .exclude(skeleton="")
        .values_list("dossier", "skeleton")[:NEIGHBOURS]
    )
    return [
        pk
        for pk, other in rows
        if other not in skeletons and any(one_edit(own.split(".")[0], other.split(".")[0]) for own in skeletons)
    ][:MOST]


def one_edit(one: str, other: str) -> bool:
    """Whether a single letter added, dropped, replaced or swapped with its neighbour makes one name of the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    start = next((at for at, letter in enumerate(short) if letter != long[at]), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    if short[start + 1 :] == long[start + 1 :]:
        return True
    swapped = short[start : start + 2][::-1] == long[start : start + 2]
    return swapped and short[start + 2 :] == long[start + 2 :]
