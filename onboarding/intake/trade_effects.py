"""What a change of setting would do, before it is made: counts of what waits today, in French sentences."""

from collections.abc import Callable
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from onboarding.intake.models import Dossier, NameChoice, Remark
from onboarding.intake.reserved import ReservedNames
from onboarding.intake.trade import Allocation, ClosedDays, Delays, Reason
from suite.directory.eligibility import Rule, rule_on, thousands
from suite.directory.models import Operator, Organization
from suite.directory.operators import Card
from suite.trade.registry import Schema

MOST_NAMES = 20_000


def of(schema: Schema[Any], before: object, after: object) -> list[str]:
    """Return what the change does, as sentences; the two values are as stored, and valid. A few queries."""
    effect = _EFFECTS.get(schema.key)
    return effect(schema.load(before), schema.load(after)) if effect else []


def _open() -> QuerySet[Dossier]:
    return Dossier.objects.open()


def _count(number: int, one: str, many: str) -> str:
    return f"{thousands(number)}\u00a0{many if number > 1 else one}"


def _reasons(before: tuple[Reason, ...], after: tuple[Reason, ...]) -> list[str]:
    changed = {new.code for old, new in zip(before, after, strict=True) if old != new and new.kind == "change"}
    waiting = (
        Remark.objects.filter(reason__in=changed, dossier__status=Dossier.Status.NEEDS_CHANGES)
        .values("dossier")
        .distinct()
        .count()
    )
    said = [
        (
            f"{_count(waiting, 'demande en attente de correction porte', 'demandes en attente de correction portent')} "
            "un motif modifié : son intitulé change à l’écran, les points déjà ouverts le restent."
        )
    ]
    said += [
        f"« {new.label} » ne sera plus proposé aux instructeurs."
        for old, new in zip(before, after, strict=True)
        if old.offered and not new.offered
    ]
    return said


def _reserved(before: ReservedNames, after: ReservedNames) -> list[str]:
    blocked = reviewed = freed = 0
    wishes = NameChoice.objects.filter(dossier__in=_open()).exclude(dossier__family=Dossier.Family.EXISTING)
    for fqdn in wishes.values_list("fqdn", flat=True)[:MOST_NAMES].iterator(chunk_size=2000):
        label = fqdn.split(".")[0]
        was, now = before.match(label), after.match(label)
        blocked += bool(now and now.blocked and not (was and was.blocked))
        reviewed += bool(now and not now.blocked and was is None)
        freed += bool(was and now is None)
    return [
        (
            f"Parmi les noms des demandes ouvertes : {_count(blocked, 'devient interdit', 'deviennent interdits')}, "
            f"{_count(reviewed, 'devient soumis', 'deviennent soumis')} à deux personnes, "
            f"{_count(freed, 'n’est plus réservé', 'ne sont plus réservés')}."
        ),
        "Les noms déjà accordés ne sont pas touchés.",
    ]


def _eligibility(before: tuple[Rule, ...], after: tuple[Rule, ...]) -> list[str]:

    today = timezone.localdate()
    old, new = rule_on(today, before), rule_on(today, after)
    current = Organization.objects.current()
    said = []
    for label, kind, was, now in (
        ("communes", Q(kind=Organization.Kind.COMMUNE), old.commune_below, new.commune_below),
        ("intercommunalités", Q(kind=Organization.Kind.EPCI), old.epci_below, new.epci_below),
    ):
        natures = {True: old.epci_natures, False: new.epci_natures}
        counts = [
            current.filter(kind, population__gt=0, population__lt=limit)
            .filter(Q(kind=Organization.Kind.COMMUNE) | Q(nature__in=natures[first]))
            .count()
            for first, limit in ((True, was), (False, now))
        ]
        said.append(
            f"Aujourd’hui, {thousands(counts[0])} {label} sont sous le seuil ; ce serait {thousands(counts[1])}."
        )
    between = Q(
        organization__kind=Organization.Kind.COMMUNE,
        organization__population__gte=min(old.commune_below, new.commune_below),
        organization__population__lt=max(old.commune_below, new.commune_below),
    )
    between |= Q(
        organization__kind=Organization.Kind.EPCI,
        organization__population__gte=min(old.epci_below, new.epci_below),
        organization__population__lt=max(old.epci_below, new.epci_below),
    )
    touched = _open().filter(between).count()
    said.append(f"{_count(touched, 'demande ouverte change', 'demandes ouvertes changent')} de verdict.")
    return said


def _allocation(before: Allocation, after: Allocation) -> list[str]:
    def beyond(standard: Allocation, times: int) -> int:
        counted = _open().annotate(boxes=Count("mailboxes"))
        above = Q(boxes__gt=times * standard.mailboxes) | Q(storage_gb__gt=times * standard.storage_gb)
        return counted.filter(above).count()

    return [
        f"Demandes ouvertes au-dessus de la dotation : {beyond(before, 1)} aujourd’hui, {beyond(after, 1)} ensuite.",
        f"Demandes ouvertes soumises à deux personnes : {beyond(before, 2)} aujourd’hui, {beyond(after, 2)} ensuite.",
    ]


def _delays(before: Delays, after: Delays) -> list[str]:  # noqa: ARG001 - an effect's signature
    waiting = _open().exclude(status=Dossier.Status.NEEDS_CHANGES).count()
    back = _open().filter(status=Dossier.Status.NEEDS_CHANGES).count()
    drafts = Dossier.objects.filter(status=Dossier.Status.DRAFT).count()
    said = (
        _count(waiting, "demande attend", "demandes attendent"),
        _count(back, "attend", "attendent"),
        _count(drafts, "brouillon est ouvert", "brouillons sont ouverts"),
    )
    who = f"{said[0]} une réponse de notre part, {said[1]} une correction, {said[2]}"
    return [f"{who} : les nouveaux délais s’y appliquent aussi."]


def _closed_days(before: ClosedDays, after: ClosedDays) -> list[str]:
    changed = set(before) ^ set(after)
    waiting = _open().exclude(status=Dossier.Status.NEEDS_CHANGES)
    if all(one.department for one in changed):
        waiting = waiting.filter(organization__department__in={one.department for one in changed})
    told = _count(waiting.count(), "demande ouverte voit son échéance", "demandes ouvertes voient leur échéance")
    return [f"{told} recalculée avec ce calendrier."]


def of_card(operator: Operator, before: Card, after: Card) -> list[str]:
    """Return what another card of an operator does."""
    gone, come = set(before.departments) - set(after.departments), set(after.departments) - set(before.departments)
    said = []
    for codes, one, many in ((gone, "sort", "sortent"), (come, "entre", "entrent")):
        if codes:
            moved = _open().filter(organization__department__in=codes).exclude(operator=operator).count()
            told = _count(moved, f"demande ouverte {one}", f"demandes ouvertes {many}")
            where = "de la vue" if codes is gone else "dans la vue"
            said.append(f"{told} {where} de l’opérateur ({', '.join(sorted(codes))}).")
    if before.status and not after.status:
        kept = _open().filter(operator=operator).count()
        told = _count(kept, "demande ouverte lui reste confiée", "demandes ouvertes lui restent confiées")
        said.append(f"L’opérateur n’est plus proposé à personne ; {told}.")
    return said or ["Aucune demande ne change de mains."]


_EFFECTS: dict[str, Callable[[Any, Any], list[str]]] = {
    "reasons": _reasons,
    "reserved_names": _reserved,
    "eligibility": _eligibility,
    "allocation": _allocation,
    "delays": _delays,
    "closed_days": _closed_days,
}
