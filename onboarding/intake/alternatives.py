"""Ranked alternatives: asking the commune for one, its answer, and telling those whose wish went to another."""

from typing import Any

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from onboarding.intake import availability, name_notifications, rules
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier, NameChoice
from onboarding.intake.moves import APPROVE, REQUEST_CHANGES, STREAM, GuardFailed, NotAllowed, WrongState, authorise
from onboarding.intake.name_models import LostName, NameQuestion
from onboarding.provisioning.models import Deployment
from suite.accounts.models import User
from suite.journal import workflow as journal

BATCH = 50


def accepted(dossier: Dossier, choice: NameChoice) -> bool:
    """Whether the commune takes this name: its wish, an alternative accepted in advance, or since it was asked."""
    if choice.rank == 0 or dossier.accepts_alternatives:
        return True
    return NameQuestion.objects.filter(dossier=dossier, fqdn=choice.fqdn, accepted=True).exists()


@transaction.atomic
def ask(dossier: Dossier, rank: int, *, by: User) -> NameQuestion:
    """Ask the commune whether this alternative suits it; asking again what is not answered changes nothing."""
    dossier = _locked(dossier)
    authorise(REQUEST_CHANGES, dossier, by)  # a question to the commune, as a correction is
    if dossier.status not in APPROVE.sources:
        raise WrongState(dossier)
    choice = dossier.names.filter(rank=rank).exclude(fqdn="").first()
    if choice is None or accepted(dossier, choice):
        raise GuardFailed([Problem("rank", 0, "Ce nom n’est pas à confirmer par la commune.")])
    found = availability.check_name(choice.fqdn, dossier.family, dossier)
    if found.code == "taken":
        raise GuardFailed([Problem("rank", 0, f"{choice.fqdn} : {found.note}")])
    try:
        with transaction.atomic():
            question = NameQuestion.objects.create(dossier=dossier, fqdn=choice.fqdn, asked_by=by)
    except IntegrityError:  # two clicks
        return NameQuestion.objects.get(dossier=dossier, fqdn=choice.fqdn, accepted__isnull=True)
    event = journal.record(STREAM, dossier.pk, "name_question", by=by, payload={"fqdn": choice.fqdn, "rank": rank})
    name_notifications.name_question(dossier, event, choice.fqdn)
    return question


@transaction.atomic
def answer(question: NameQuestion, *, accept: bool, by: User) -> None:
    """Take the commune's answer, once; the dossier must still be in the operator's hands."""
    dossier = _locked(question.dossier)
    if not rules.requests(dossier, by):
        raise NotAllowed("Seules les personnes de la collectivité qui la représentent répondent à cette question.")
    if dossier.status not in Dossier.OPEN:
        raise WrongState(dossier)
    if not NameQuestion.objects.filter(pk=question.pk, accepted__isnull=True).update(
        accepted=accept, answered_by=by, answered_at=timezone.now()
    ):
        return  # answered a moment before: the first answer stands, and the page shows it
    payload = {"fqdn": question.fqdn, "accepted": accept}
    event = journal.record(STREAM, dossier.pk, "name_answered", by=by, payload=payload)
    name_notifications.name_answered(dossier, event, question.fqdn, accepted=accept)


def wake() -> None:
    """Have a worker tell those whose wish was just given to another; a lost call costs one sweep."""
    current_app.send_task("onboarding.intake.tasks.tell_losers", expires=60, retry=False)


def tell() -> int:
    """Tell the open dossiers whose wish another was given, with their alternatives checked; once each.

    Not in the approval's own transaction: two approvals of one name would each wait for the other's dossier, and what
    was sent at the same moment could not be seen. Returns how many were told.
    """
    told = 0
    for choice in _losers()[:BATCH]:
        with transaction.atomic():
            told += _tell(choice)
    return told


def _losers() -> Any:  # noqa: ANN401 - a queryset of joined rows
    held = Deployment.objects.filter(domain=OuterRef("fqdn"), closed_at__isnull=True).exclude(
        organization=OuterRef("dossier__organization")
    )
    told = LostName.objects.filter(dossier=OuterRef("dossier"), fqdn=OuterRef("fqdn"))
    return (
        NameChoice.objects.filter(Exists(held), ~Exists(told), rank=0, dossier__status__in=Dossier.OPEN)
        .select_related("dossier__organization", "dossier__operator", "dossier__assignee")
        .order_by(F("dossier__submitted_at"), "dossier")
    )


def _tell(choice: NameChoice) -> int:
    dossier = choice.dossier
    others = [row.fqdn for row in dossier.names.all() if row.rank and row.fqdn]
    found = availability.check_names(dossier, others)
    left = [{"fqdn": fqdn, "code": one.code, "word": one.word, "note": one.note} for fqdn, one in found.items()]
    _, created = LostName.objects.get_or_create(
        dossier=dossier, fqdn=choice.fqdn, defaults={"alternatives": left, "told_at": timezone.now()}
    )
    if not created:
        return 0
    payload = {"fqdn": choice.fqdn, "alternatives": [[one["fqdn"], one["code"]] for one in left]}
    event = journal.record(STREAM, dossier.pk, "name_taken", by=None, payload=payload)
    name_notifications.name_taken(dossier, event, choice.fqdn, left)
    return 1


def _locked(dossier: Dossier) -> Dossier:
    """Return the dossier as it stands, its row held until the end of the transaction."""
    return (
        Dossier.objects.select_for_update(no_key=True, of=("self",))
        .select_related("organization", "operator", "assignee", "author")
        .get(pk=dossier.pk)
    )
