"""« Charge »: what each person of a team has in hand, and the handing out of what nobody has taken."""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from onboarding.intake import absences, moves, workflow
from onboarding.intake.desk_models import Absence, Distribution
from onboarding.intake.models import Dossier
from suite.accounts.models import OperatorRole, User
from suite.accounts.rights import OperatorScope
from suite.directory.models import Operator
from suite.journal.workflow import record

PERIOD = dt.timedelta(days=90)
BATCH = 50


class Load(NamedTuple):
    """What one person has in hand; `median` in days, over its decisions of the last 90 days, None without any."""

    user: User
    open: int
    late: int
    waiting: int
    decided: int
    median: float | None
    absence: Absence | None


class Team(NamedTuple):
    """An operator, its people by name (nobody is ranked), and what waits for somebody to take it."""

    operator: Operator
    loads: list[Load]
    unassigned: int
    automatic: bool


def operators_led(scope: OperatorScope) -> list[Operator]:
    """Return the operators whose load a person may see: those it leads; all for the national lead and a superadmin."""
    everywhere = scope.superadmin or any(place.national and place.role == "lead" for place in scope.places)
    led = [place.operator for place in scope.places if place.role == "lead"]
    return list(Operator.objects.filter(Q() if everywhere else Q(pk__in=led), staff__active=True).distinct()
                .order_by("name"))  # fmt: skip


def teams(scope: OperatorScope) -> list[Team]:
    """Return the load of each team. Seven queries, whatever the number of people."""
    operators = operators_led(scope)
    roles = (
        OperatorRole.objects.filter(
            operator__in=operators, active=True, user__is_active=True, role__in=["instructor", "lead"]
        )
        .select_related("user")
        .order_by("user__usual_name", "user__given_name")
    )
    staff: dict[UUID, list[User]] = {}
    for role in roles:
        staff.setdefault(role.operator_id, []).append(role.user)
    people = {user.pk for users in staff.values() for user in users}
    facts, medians, away = _facts(people), _medians(people), absences.away(people)
    unassigned = dict(
        Dossier.objects.filter(operator__in=operators, status=Dossier.Status.SUBMITTED)
        .values_list("operator")
        .annotate(Count("pk"))
        .order_by()
    )
    automatic = set(Distribution.objects.filter(automatic=True).values_list("operator", flat=True))
    return [
        Team(
            operator,
            [
                Load(user, *facts.get(user.pk, (0, 0, 0, 0)), medians.get(user.pk), away.get(user.pk))
                for user in staff.get(operator.pk, [])
            ],
            unassigned.get(operator.pk, 0),
            operator.pk in automatic,
        )
        for operator in operators
    ]


def _facts(people: Collection[UUID]) -> dict[UUID, tuple[int, int, int, int]]:
    now = timezone.now()
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - dt.timedelta(days=today.weekday())
    review = Q(status__in=[Dossier.Status.IN_REVIEW, Dossier.Status.SECOND_APPROVAL])
    held = (
        Dossier.objects.filter(assignee__in=people, status__in=Dossier.OPEN)
        .values_list("assignee")
        .annotate(
            opened=Count("pk", filter=review),
            late=Count("pk", filter=review & Q(due_at__lt=now)),
            paused=Count("pk", filter=Q(status=Dossier.Status.NEEDS_CHANGES)),
        )
        .order_by()
    )
    decided = dict(
        Dossier.objects.filter(decided_by__in=people, decided_at__gte=monday)
        .values_list("decided_by")
        .annotate(Count("pk"))
        .order_by()
    )
    found = {user: (opened, late, waiting, decided.pop(user, 0)) for user, opened, late, waiting in held}
    return found | {user: (0, 0, 0, count) for user, count in decided.items() if user is not None}


def _medians(people: Collection[UUID]) -> dict[UUID, float]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT decided_by_id,
                      percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - submitted_at)) / 86400
               FROM intake_dossier
               WHERE decided_by_id = ANY(%s) AND decided_at > %s AND submitted_at IS NOT NULL GROUP BY 1""",
            [list(people), timezone.now() - PERIOD],
        )
        return {user: float(days) for user, days in cursor.fetchall()}


# --- Handing out ------------------------------------------------------------------------------------------------------


def distribute(operator: Operator, *, by: User, most: int = BATCH) -> int:
    """Give what waits to whoever has least in hand, a département's habitué first among equals; return how many.

    Nobody away receives anything. Each dossier is taken by `by` and handed on: two events, in its name.
    """
    users = list(
        User.objects.filter(
            is_active=True,
            operator_roles__operator=operator,
            operator_roles__active=True,
            operator_roles__role__in=["instructor", "lead"],
        )
        .distinct()
        .order_by("pk")
    )
    away = absences.away({user.pk for user in users})
    present = [user for user in users if user.pk not in away]
    loads = {user.pk: 0 for user in present}
    known: dict[UUID, set[str | None]] = {user.pk: set() for user in present}
    held = Dossier.objects.filter(assignee__in=loads, status__in=Dossier.OPEN)
    for assignee, place in held.values_list("assignee", "organization__department"):
        if assignee is not None:
            loads[assignee] += 1
            known[assignee].add(place)
    waiting = Dossier.objects.filter(operator=operator, status=Dossier.Status.SUBMITTED).select_related(
        "organization", "operator", "assignee", "author"
    )
    done = 0
    for dossier in waiting.order_by(F("due_at").asc(nulls_last=True), "pk")[:most]:
        department = dossier.organization.department_id
        ranked = sorted(present, key=lambda user: (loads[user.pk], department not in known[user.pk], str(user.pk)))
        for user in ranked:
            try:
                give(dossier, to=user, by=by)
            except moves.Refusal:
                continue  # its own commune, or taken meanwhile
            loads[user.pk] += 1
            known[user.pk].add(department)
            done += 1
            break
    return done


@transaction.atomic
def give(dossier: Dossier, *, to: User, by: User, version: int | None = None) -> Dossier:
    """Hand a dossier to somebody, taking it first when nobody has it: the moves of the table, and no other."""
    version = dossier.version if version is None else version
    if dossier.status == Dossier.Status.SUBMITTED:
        dossier = workflow.take(dossier, by=by, version=version)
        if to.pk == by.pk:
            return dossier
        version = dossier.version
    return workflow.assign(dossier, to=to, by=by, version=version)


@transaction.atomic
def set_automatic(operator: Operator, *, on: bool, by: User) -> None:
    """Have what waits handed out by itself from now on, in the name of this lead, or no longer."""
    Distribution.objects.update_or_create(
        operator=operator, defaults={"automatic": on, "changed_by": by, "changed_at": timezone.now()}
    )
    record("desk", operator.pk, "desk.distribution", by=by, payload={"automatic": on})


def distribute_where_asked() -> int:
    """Hand out what waits at the operators that asked for it."""
    asked = Distribution.objects.filter(automatic=True).select_related("operator", "changed_by")
    return sum(distribute(one.operator, by=one.changed_by) for one in asked)
