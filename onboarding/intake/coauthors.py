"""The verbs of sharing one dossier: invite, accept, ask to join, answer, remove. Nobody joins by itself.

A link has 256 bits and only its digest is kept; it serves once, for seven days, for the address it was sent to.
"""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from onboarding.intake import acting, moves, rules
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import CoAuthor
from suite.accounts.invitations import LONGEST_TOKEN, digest
from suite.accounts.limits import allow
from suite.accounts.models import User
from suite.accounts.rights import live_membership
from suite.directory.models import Organization
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices.workflow import queue

State = CoAuthor.State
LIFETIME = timedelta(days=7)
A_DAY, DAY = 20, 86_400
MOST = 20
SHARED = frozenset({Dossier.Status.DRAFT, *Dossier.OPEN})


def manages(dossier: Dossier, user: User) -> bool:
    """Whether the person decides who else edits the dossier: its author, or who speaks for the commune by a right."""
    if not rules.requests(dossier, user):
        return False
    return dossier.author_id == user.pk or live_membership(user, dossier.organization) is not None


def people(dossier: Dossier) -> QuerySet[CoAuthor]:
    """Return who edits the dossier beside its author, and who may come to."""
    waiting = [State.ACTIVE, State.INVITED, State.ASKED]
    return dossier.co_authors.filter(state__in=waiting).select_related("user", "invited_by")


def within_limits(user: User, scope: str = "dossier-invitation") -> bool:
    """Count one try, and return whether it may go on. Call it before the verb, outside its transaction."""
    return allow(scope, str(user.pk), limit=A_DAY, seconds=DAY)


@transaction.atomic
def invite(dossier: Dossier, email: str, *, by: User) -> CoAuthor:
    """Send a link to the address; an earlier one to the same is worth nothing any more."""
    _guard(dossier, by)
    if dossier.co_authors.filter(state__in=[State.ACTIVE, State.INVITED]).count() >= MOST:
        raise _refused(f"Une demande se prépare à {MOST} personnes au plus : retirez-en d’abord une.")
    for earlier in dossier.co_authors.filter(state=State.INVITED, email__iexact=email):
        _end(earlier, by=by)
    token = secrets.token_urlsafe(32)
    invitation = CoAuthor.objects.create(
        dossier=dossier,
        email=email,
        digest=digest(token),
        state=State.INVITED,
        invited_by=by,
        expires_at=timezone.now() + LIFETIME,
    )
    event = _record("invited", invitation, by=by)
    queue(
        "dossier_invitation",
        to=email,
        event=event,
        context={
            "dossier": dossier,
            "invitation": invitation,
            "inviter": by.get_full_name(),
            "url": f"{settings.PUBLIC_BASE_URL}{reverse('intake:invitation')}?jeton={token}",
        },
    )
    return invitation


def find(token: str) -> CoAuthor | None:
    """Return the invitation of a link, whatever became of it."""
    if not 0 < len(token) <= LONGEST_TOKEN:
        return None
    found = CoAuthor.objects.select_related("dossier__organization", "dossier__author", "invited_by")
    return found.filter(digest=digest(token)).first()


def problem(invitation: CoAuthor | None, user: User) -> str:  # noqa: PLR0911 - one sentence per reason
    """Return why this person cannot accept, in a French sentence; "" when nothing stands in the way."""
    again = "Demandez une nouvelle invitation à la personne qui vous a écrit."
    if invitation is None:
        return f"Ce lien ne correspond à aucune invitation : il est peut-être incomplet. {again}"
    if invitation.state == State.ACTIVE:
        return "Cette invitation a déjà servi : un lien ne sert qu’une fois."
    if invitation.state != State.INVITED or invitation.expired:
        return f"Cette invitation ne vaut plus : elle a été annulée, ou date de plus de sept jours. {again}"
    if invitation.email != user.email:
        return (
            f"Cette invitation a été envoyée à une autre adresse que celle de votre compte, {user.email}. Demandez à "
            "la personne qui vous a écrit de vous inviter à cette adresse, écrite exactement ainsi."
        )
    inviter = invitation.invited_by
    if inviter is None or not inviter.is_active or not manages(invitation.dossier, inviter):
        return f"La personne qui vous a invité ne suit plus cette demande. {again}"
    if invitation.dossier.status not in SHARED:
        return "Cette demande est close : elle ne se modifie plus."
    return ""


@transaction.atomic
def accept(invitation: CoAuthor, *, by: User) -> None:
    """Claim the link, once. Raises GuardFailed with the sentence of `problem`."""
    if why := problem(invitation, by):
        raise _refused(why)
    dossier = invitation.dossier
    for other in dossier.co_authors.filter(user=by, state__in=[State.ASKED, State.ACTIVE]):
        _end(other, by=by)
    claimed = CoAuthor.objects.filter(pk=invitation.pk, state=State.INVITED, expires_at__gt=timezone.now()).update(
        state=State.ACTIVE, user=by, answered_at=timezone.now(), answered_by=invitation.invited_by
    )
    if not claimed:
        raise _refused(problem(CoAuthor.objects.get(pk=invitation.pk), by))
    _record("joined", invitation, by=by)


def open_dossier(organization: Organization) -> Dossier | None:
    """Return the commune's open dossier, whoever may see it. One query."""
    return Dossier.objects.open().filter(organization=organization).select_related("author", "organization").first()


def joinable(dossier: Dossier | None) -> Dossier | None:
    """Return the dossier if its author is somebody whom one may ask to be let in."""
    return None if dossier is None or acting.is_assisted(dossier) else dossier


@transaction.atomic
def ask(dossier: Dossier, message: str, *, by: User) -> CoAuthor:
    """Ask to join; asking twice asks once. The author is told."""
    if waiting := dossier.co_authors.filter(user=by, state__in=[State.ASKED, State.ACTIVE]).first():
        return waiting
    try:
        with transaction.atomic():
            asked = CoAuthor.objects.create(
                dossier=dossier, user=by, email=by.email, message=message, state=State.ASKED
            )
    except IntegrityError:  # the same person, in another tab, a moment before
        return dossier.co_authors.get(user=by, state__in=[State.ASKED, State.ACTIVE])
    event = _record("asked", asked, by=by)
    url = f"{settings.PUBLIC_BASE_URL}{reverse('intake:answer_join', args=[dossier.pk, asked.pk])}"
    context = {"dossier": dossier, "name": by.get_full_name(), "message": message, "url": url}
    queue("dossier_join_asked", to=dossier.author.email, event=event, context=context)
    return asked


@transaction.atomic
def answer(asked: CoAuthor, *, admit: bool, by: User) -> None:
    """Admit or refuse who asked. Two answers at once: one counts."""
    dossier = asked.dossier
    _guard(dossier, by)
    now = timezone.now()
    waiting = CoAuthor.objects.filter(pk=asked.pk, state=State.ASKED)
    if not waiting.update(state=State.ACTIVE if admit else State.REFUSED, answered_at=now, answered_by=by):
        raise _refused("Quelqu’un a déjà répondu à cette personne.")
    event = _record("admitted" if admit else "refused", asked, by=by)
    if asked.user:
        url = f"{settings.PUBLIC_BASE_URL}{reverse('intake:detail', args=[dossier.pk])}" if admit else ""
        context = {"dossier": dossier, "admitted": admit, "url": url}
        queue("dossier_join_answered", to=asked.user.email, event=event, context=context)


@transaction.atomic
def remove(one: CoAuthor, *, by: User) -> None:
    """End somebody's part in the dossier, or an invitation; one may always leave."""
    if one.user_id != by.pk and not manages(one.dossier, by):
        raise moves.NotAllowed(_NOT_YOURS)
    if not _end(one, by=by):
        raise _refused("Cette personne ne modifie déjà plus la demande.")


_NOT_YOURS = "Seuls l’auteur de la demande et les personnes rattachées à la collectivité décident de qui la modifie."


def _guard(dossier: Dossier, by: User) -> None:
    if not manages(dossier, by):
        raise moves.NotAllowed(_NOT_YOURS)
    if dossier.status not in SHARED:
        raise moves.WrongState(dossier)


def _end(one: CoAuthor, *, by: User) -> bool:
    live = CoAuthor.objects.filter(pk=one.pk, state__in=[State.INVITED, State.ASKED, State.ACTIVE])
    if not live.update(state=State.ENDED, answered_at=timezone.now(), answered_by=by):
        return False
    _record("ended", one, by=by)
    return True


def _record(done: str, one: CoAuthor, *, by: User) -> Event:
    return record("co_author", one.pk, done, by=by, payload={"dossier": str(one.dossier_id)})


def _refused(sentence: str) -> moves.GuardFailed:
    return moves.GuardFailed([Problem("email", 0, sentence)])
