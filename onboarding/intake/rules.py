"""Who may do what to a dossier, who receives it, and when two people must decide."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from onboarding.agreements import texts
from onboarding.intake import acting, availability, checks, names
from onboarding.intake.models import Dossier, NameChoice
from onboarding.intake.request_models import CoAuthor
from onboarding.intake.trade import ALLOCATION
from onboarding.provisioning.models import Deployment
from suite.accounts.mandates import missing
from suite.accounts.models import Membership, User
from suite.accounts.permissions import EDIT_DOSSIER, HOME, INSTRUCT, Role, allows, commune_role, staff_roles
from suite.accounts.rights import LIVE, operator_scope
from suite.directory.lookup import verdict_of
from suite.directory.models import Operator, Organization
from suite.journal.models import Event

SHORTEST_CHECK = checks.SHORTEST_CHECK

ZONES = {
    Dossier.Family.SHARED: Deployment.ZoneKind.SHARED,
    Dossier.Family.NEW: Deployment.ZoneKind.REGISTERED,
    Dossier.Family.EXISTING: Deployment.ZoneKind.EXTERNAL,
}

SENSITIVE = {
    "eligibility_override": "l’éligibilité de la collectivité n’est pas établie",
    "mandate_override": "l’habilitation du demandeur est en dessous de ce que ce nom demande ; un code par courrier ou "
    "un document signé du maire l’élève",
    "name_unrelated": "le nom ne reprend pas celui de la collectivité, ou d’autres le portent aussi",
    "name_reserved": "le nom est réservé, sous réserve d’examen",
    "allocation": "la dotation dépasse le double de ce qui est prévu",
    "other_holder": "le domaine dépend d’une autre structure, dont l’accord écrit est nécessaire",
    "assisted": "un opérateur a préparé cette demande pour la collectivité",
    "reopened": "la demande avait été refusée, ou avait expiré, puis a été rouverte",
}


class Capacity(StrEnum):
    """In which quality a person faces one dossier."""

    REQUESTER = "requester"
    OPERATOR = "operator"
    ASSIGNEE = "assignee"
    LEAD = "lead"
    SYSTEM = "system"


def capacities(dossier: Dossier, user: User) -> frozenset[Capacity]:
    """Return the qualities of the person; nobody decides on the commune where it belongs. Two queries at most."""
    if requests(dossier, user):
        return frozenset({Capacity.REQUESTER})
    return frozenset() if is_insider(dossier, user) else staff_capacities(dossier, user)


def requests(dossier: Dossier, user: User) -> bool:
    """Whether the person may speak for the organization in this dossier."""
    return allows(EDIT_DOSSIER, _commune_roles(dossier, user))


def roles(dossier: Dossier, user: User) -> frozenset[Role]:
    """Return the columns of the table of rights in which the person stands. Two queries at most."""
    own = _commune_roles(dossier, user)
    scope = operator_scope(user)
    if scope is None:
        return own or frozenset({Role.STRANGER})
    staff = staff_roles(user, *_reach(dossier))
    if staff & HOME and is_insider(dossier, user):
        # Nobody decides on the commune where it belongs: it looks, as a reader does.
        staff = frozenset({Role.STAFF_READER})
    return own | staff


def _commune_roles(dossier: Dossier, user: User) -> frozenset[Role]:
    """Return what the person is in the organization; who wrote the dossier without any right yet is a requester."""
    memberships = _memberships(dossier, user)
    live = {commune_role(one.role) for one in memberships if one.state in LIVE}
    if not memberships and writes(dossier, user) and not _left(dossier, user):
        live.add(Role.REQUESTER)
    return frozenset(live)


def writes(dossier: Dossier, user: User) -> bool:
    """Whether the person wrote the dossier, or was let in by whoever did. One query for one loaded dossier."""
    if dossier.author_id == user.pk:
        return True
    known: list[UUID] | None = dossier.__dict__.get("writers")
    if known is None:
        active = dossier.co_authors.filter(state=CoAuthor.State.ACTIVE)
        known = dossier.__dict__["writers"] = list(active.values_list("user_id", flat=True))
    return user.pk in known


def writers() -> ArraySubquery:
    """Return who was let in a dossier, to be read with it: the column `writers`, which spares `writes` its query."""
    active = CoAuthor.objects.filter(dossier=OuterRef("pk"), state=CoAuthor.State.ACTIVE)
    return ArraySubquery(active.values("user"))


def _left(dossier: Dossier, user: User) -> bool:
    return user.memberships.filter(organization=dossier.organization_id, state=Membership.State.ENDED).exists()


def _reach(dossier: Dossier) -> tuple[set[UUID | None], set[str]]:
    """Return the operators, and the départements, whose staff follows the dossier; nobody's while it is a draft."""
    if dossier.submitted_at is None or dossier.status == Dossier.Status.DRAFT:
        return set(), set()
    if dossier.status in {Dossier.Status.APPROVED, Dossier.Status.REVOKED}:
        return {dossier.operator_id}, set()
    organization = dossier.organization
    return {dossier.operator_id}, {organization.department_id or "", *organization.departments}


def is_insider(dossier: Dossier, user: User) -> bool:
    """Whether the person has a stake in the dossier: it writes it, or is of the organization in any capacity."""
    if user.pk in {dossier.author_id, dossier.prepared_by_id} or _memberships(dossier, user):
        return True
    return writes(dossier, user)


def _memberships(dossier: Dossier, user: User) -> list[Membership]:
    """Return the person's live rights in the organization; read once for one loaded dossier."""
    known: dict[Any, list[Membership]] = dossier.__dict__.setdefault("_memberships", {})
    if user.pk not in known:
        known[user.pk] = list(memberships(user, dossier.organization_id))
    return known[user.pk]


def memberships(user: User, organization: Any) -> QuerySet[Membership]:  # noqa: ANN401 - a key, or OuterRef
    """Return the person's rights in an organization that have not ended; a key, or the column that has it."""
    return user.memberships.filter(organization=organization).exclude(state=Membership.State.ENDED)


def staff_capacities(dossier: Dossier, user: User) -> frozenset[Capacity]:
    """Return what the person's roles at operators allow, its own interests aside."""
    staff = staff_roles(user, *_reach(dossier)) if in_scope(dossier, user) else frozenset()
    if not allows(INSTRUCT, staff):
        return frozenset()
    held = {Capacity.OPERATOR}
    if dossier.assignee_id == user.pk:
        held.add(Capacity.ASSIGNEE)
    if Role.LEAD in staff:
        held.add(Capacity.LEAD)
    return frozenset(held)


def in_scope(dossier: Dossier, user: User) -> bool:
    """Whether an operator's staff follows the dossier: the same rule as `Dossier.objects.followed_by`."""
    scope = operator_scope(user)
    if scope is None or dossier.submitted_at is None or dossier.status == Dossier.Status.DRAFT:
        return False
    return scope.superadmin or bool(scope.roles_over(*_reach(dossier)))


def route(organization: Organization) -> Operator | None:
    """Return who decides: the best of the operators that cover the organization, the national one when none does."""
    return texts.route(organization)


def sensitive(dossier: Dossier, rank: int) -> list[str]:
    """Return why two people must decide (keys of `SENSITIVE`), empty when one is enough. About eight queries."""
    found = []
    if not verdict_of(dossier.organization).eligible:
        found.append("eligibility_override")
    if missing(acting.approval(dossier), acting.mandate_of(dossier), checked=True):
        found.append("mandate_override")
    choice = next((choice for choice in dossier.names.all() if choice.rank == rank), None)
    if choice and dossier.family != Dossier.Family.EXISTING:
        label = choice.fqdn.split(".")[0]
        if not availability.tells_the_commune(choice.fqdn, availability.labels(dossier.organization)):
            found.append("name_unrelated")
        if (kept := names.reserved(label)) and not kept.blocked:
            found.append("name_reserved")
    if dossier.family == Dossier.Family.EXISTING and _held_by_another(dossier, choice):
        found.append("other_holder")
    if checks.beyond_allocation(dossier, times=2):
        found.append("allocation")
    if acting.is_assisted(dossier):
        found.append("assisted")
    if Event.objects.filter(stream="dossier", subject=dossier.pk, kind="reopen").exists():
        found.append("reopened")
    return found


def _held_by_another(dossier: Dossier, choice: NameChoice | None) -> bool:
    under = choice is not None and names.is_subdomain(choice.fqdn)
    return under or dossier.remarks.filter(reason="domain_other_holder").exists()


def facts(dossier: Dossier) -> dict[str, Any]:
    """Return what a count will need later, as it is today: a merger must not alter the past. No personal text."""
    organization = dossier.organization
    return {
        "organization": organization.code,
        "kind": organization.kind,
        "department": organization.department_id,
        "epci": organization.epci.code if organization.epci else None,
        "operator": str(dossier.operator_id) if dossier.operator_id else None,
        "population": organization.population,
        "population_year": organization.population_year,
        "family": dossier.family,
        "ruleset": (dossier.verdict or {}).get("rule"),
        "mailboxes": dossier.mailboxes.count(),
        "storage_gb": dossier.storage_gb,
        "standard_mailboxes": ALLOCATION.current().mailboxes,
    }
