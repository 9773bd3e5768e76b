"""Absences: while somebody is away, what it instructs goes to its deputy."""

import datetime as dt
from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from onboarding.intake import moves, workflow
from onboarding.intake.checks import Problem
from onboarding.intake.desk_models import Absence
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed
from suite.accounts.models import User
from suite.accounts.rights import operator_scope
from suite.journal.workflow import record

LONGEST = dt.timedelta(days=366)
STREAM = "desk"


def coming(today: dt.date | None = None) -> QuerySet[Absence]:
    """Return the absences that are not over."""
    return Absence.objects.filter(
        cancelled_at__isnull=True, last_day__gte=today or timezone.localdate()
    ).select_related("user", "deputy")


def away(people: Collection[UUID], today: dt.date | None = None) -> dict[UUID, Absence]:
    """Return who of these people is away today."""
    today = today or timezone.localdate()
    return {one.user_id: one for one in coming(today).filter(user__in=people, first_day__lte=today)}


@transaction.atomic
def declare(user: User, *, deputy: User, first_day: dt.date, last_day: dt.date, by: User) -> Absence:
    """Announce an absence: one's own, or a colleague's by a lead. Raises GuardFailed with what to put right."""
    if by.pk != user.pk and not leads(by, user):
        raise NotAllowed("Seule une personne responsable déclare l’absence d’un collègue.")
    User.objects.select_for_update().get(pk=user.pk)
    problems = []
    if last_day < first_day:
        problems.append(Problem("last_day", 0, "Le dernier jour vient après le premier."))
    if last_day < timezone.localdate():
        problems.append(Problem("last_day", 0, "Cette absence est déjà finie."))
    if last_day - first_day > LONGEST:
        problems.append(Problem("last_day", 0, "Une absence dure un an au plus."))
    if deputy.pk == user.pk or not colleagues(user).filter(pk=deputy.pk).exists():
        problems.append(Problem("deputy", 0, "Choisissez un collègue qui instruit chez le même opérateur."))
    clash = coming().filter(user=user, first_day__lte=last_day, last_day__gte=first_day)
    if clash.exists():
        problems.append(Problem("first_day", 0, "Une autre absence couvre déjà ces jours : annulez-la d’abord."))
    if coming().filter(user=deputy, first_day__lte=last_day, last_day__gte=first_day).exists():
        problems.append(Problem("deputy", 0, "Cette personne est absente les mêmes jours : choisissez-en une autre."))
    if problems:
        raise GuardFailed(problems)
    absence = Absence.objects.create(user=user, deputy=deputy, first_day=first_day, last_day=last_day, declared_by=by)
    days = {"first_day": first_day.isoformat(), "last_day": last_day.isoformat(), "deputy": str(deputy.pk)}
    record(STREAM, user.pk, "desk.absence_declared", by=by, payload=days)
    return absence


@transaction.atomic
def cancel(absence: Absence, *, by: User) -> None:
    """Call an absence off; what was handed over stays with the deputy."""
    if by.pk != absence.user_id and not leads(by, absence.user):
        raise NotAllowed("Seule la personne concernée, ou une personne responsable, annule cette absence.")
    rows = Absence.objects.filter(pk=absence.pk, cancelled_at__isnull=True).update(cancelled_at=timezone.now())
    if rows:
        record(STREAM, absence.user_id, "desk.absence_cancelled", by=by, payload={"absence": str(absence.pk)})


def leads(by: User, user: User) -> bool:
    """Whether one leads an operator where the other works."""
    scope = operator_scope(by)
    operators = set(user.operator_roles.filter(active=True).values_list("operator", flat=True))
    return scope is not None and "lead" in scope.roles_over(operators)


def colleagues(user: User) -> QuerySet[User]:
    """Return who instructs at the operators of the person."""
    operators = user.operator_roles.filter(active=True).values("operator")
    return (
        User.objects.filter(
            is_active=True,
            operator_roles__active=True,
            operator_roles__operator__in=operators,
            operator_roles__role__in=["instructor", "lead"],
        )
        .exclude(pk=user.pk)
        .distinct()
        .order_by("usual_name", "given_name")
    )


def hand_over(today: dt.date | None = None) -> int:
    """Hand to their deputies what people away instruct, in the name of who declared the absence; return how many.

    Safe to run at any time: a dossier that comes back during the absence is handed over by the next run.
    """
    today, done = today or timezone.localdate(), 0
    for absence in coming(today).filter(first_day__lte=today).select_related("declared_by"):
        mine = Dossier.objects.filter(assignee=absence.user, status=Dossier.Status.IN_REVIEW)
        for dossier in mine.select_related("organization", "operator", "assignee", "author"):
            try:
                workflow.assign(dossier, to=absence.deputy, by=absence.declared_by, version=dossier.version)
            except moves.Refusal:
                continue  # out of the deputy's scope, or taken meanwhile: a lead sees it on « Charge »
            done += 1
    return done
