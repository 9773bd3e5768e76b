"""The verbs about personal data: hand it over, ask that it be erased, erase it, refuse."""

import datetime as dt
import uuid

from django.db import IntegrityError, transaction
from django.utils import timezone

from onboarding.intake import personal, personal_notifications, retention_jobs
from onboarding.intake.models import Dossier
from onboarding.intake.personal import Reach, Section
from onboarding.intake.personal_models import ErasureRequest
from suite.accounts import codes
from suite.accounts.models import AccessRequest, Invitation, User, UserSession
from suite.journal.workflow import record
from suite.notices.models import Notice

STREAM = "personal"
TIME_TO_ANSWER = dt.timedelta(days=30)
# Younger messages may still have to be sent again, or prove a delay that runs.
NOTICES_KEPT = dt.timedelta(days=62)
S = ErasureRequest.State


class PersonalRefused(Exception):
    """An act that was refused: `str()` is the French sentence to show."""

    def __init__(self, sentence: str, http: int = 422) -> None:
        super().__init__(sentence)
        self.http = http


@transaction.atomic
def hand_over(user: User) -> list[Section]:
    """Return what we hold about the person, to itself, and write that it was handed over."""
    sections = personal.of_user(user)
    record(STREAM, user.pk, "personal.exported", by=user, payload={"rows": personal.counts(sections)})
    return sections


@transaction.atomic
def gather(email: str, *, by: User, check: str) -> list[Section]:
    """Return what we hold under an address, for somebody without an account whose identity a lead has checked."""
    if len(check.strip()) < 10:  # noqa: PLR2004 - a few words
        raise PersonalRefused("Écrivez comment vous avez vérifié l’identité de la personne.")
    sections = personal.of_address(email, within=Reach.of(by))
    # The subject is a keyed digest: the journal tells two addresses apart, and names neither.
    subject = uuid.UUID(codes.digest(email.strip().lower(), "personal")[:32])
    payload = {"rows": personal.counts(sections)}
    record(STREAM, subject, "personal.gathered", by=by, payload=payload, comment=check.strip())
    return sections


@transaction.atomic
def ask_erasure(user: User, message: str) -> ErasureRequest:
    """Ask that what we hold be erased; a second request joins the first."""
    today = timezone.localdate()
    try:
        with transaction.atomic():
            asked = ErasureRequest.objects.create(user=user, message=message[:500], due_on=today + TIME_TO_ANSWER)
    except IntegrityError:
        return ErasureRequest.objects.get(user=user, state=S.WAITING)
    event = record(STREAM, user.pk, "personal.erasure_asked", by=user, payload={"due": str(asked.due_on)})
    personal_notifications.erasure_asked(asked, event)
    return asked


@transaction.atomic
def erase(asked: ErasureRequest, *, by: User) -> list[str]:
    """Erase what the law lets us erase at once, answer the person, and return what was erased, in French."""
    _settle(asked, S.DONE, by=by)
    user = User.objects.select_for_update(of=("self",)).get(pk=asked.user_id)
    address, done = user.email, []
    drafts = Dossier.objects.filter(
        author=user, submitted_at__isnull=True, status__in=[Dossier.Status.EXPIRED, Dossier.Status.WITHDRAWN]
    ).exclude(erasure__erased_at__isnull=False)
    pks = list(drafts.values_list("pk", flat=True))
    if pks:
        retention_jobs.erase_drafts(pks)
        done.append(f"le contenu de vos brouillons retirés ou expirés ({len(pks)})")
    if count := UserSession.objects.filter(user=user, ended_at__isnull=False).delete()[0]:
        done.append(f"vos sessions closes ({count})")
    if (
        count := AccessRequest.objects.filter(user=user, answered_at__isnull=False)
        .exclude(message="")
        .update(message="")
    ):
        done.append(f"vos messages de demande d’accès ({count})")
    if address:
        over = Invitation.objects.filter(email__iexact=address, expires_at__lte=timezone.now())
        if count := over.update(email=""):
            done.append(f"votre adresse dans les invitations passées ({count})")
        old = Notice.objects.filter(recipient__iexact=address, created_at__lte=timezone.now() - NOTICES_KEPT)
        old = old.exclude(state=Notice.State.QUEUED)
        if count := old.count():
            retention_jobs.erase_notices(old)
            done.append(f"les messages envoyés il y a plus de deux mois ({count})")
    # Last: it takes the address that the others are found by.
    if retention_jobs.forgettable().filter(pk=user.pk).exists():
        retention_jobs.erase_accounts([user.pk])
        done.append("votre compte, qui ne vous nomme plus et ne s’ouvre plus")
    answer = " ; ".join(done) or "rien : tout ce que nous gardons sert à un droit en cours, ou la loi nous y oblige"
    ErasureRequest.objects.filter(pk=asked.pk).update(answer=f"Effacé : {answer}."[:1000])
    event = record(STREAM, user.pk, "personal.erased", by=by, payload={"parts": len(done)})
    personal_notifications.erasure_answered(ErasureRequest.objects.get(pk=asked.pk), event, to=address, erased=done)
    return done


@transaction.atomic
def refuse(asked: ErasureRequest, *, by: User, reason: str) -> None:
    """Refuse, and tell the person why and where to complain."""
    if len(reason.strip()) < 10:  # noqa: PLR2004 - a few words
        raise PersonalRefused("Écrivez pourquoi : la personne le lira.")
    _settle(asked, S.REFUSED, by=by, answer=reason.strip()[:1000])
    event = record(STREAM, asked.user_id, "personal.erasure_refused", by=by, comment=reason.strip())
    fresh = ErasureRequest.objects.select_related("user").get(pk=asked.pk)
    personal_notifications.erasure_answered(fresh, event, to=fresh.user.email, erased=[])


def _settle(asked: ErasureRequest, state: str, *, by: User, answer: str = "") -> None:
    if asked.user_id == by.pk:
        raise PersonalRefused("Cette demande est la vôtre : un collègue doit y répondre.", 403)
    waiting = ErasureRequest.objects.filter(pk=asked.pk, state=S.WAITING)
    if not waiting.update(state=state, answered_at=timezone.now(), answered_by=by, answer=answer):
        raise PersonalRefused("Quelqu’un a déjà répondu à cette demande.", 409)
