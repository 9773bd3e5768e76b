"""The verbs of shutting an account and opening it again: proposed by one person, done by another, told to its owner.

What the person wrote stays where it is, its rights too: they serve nobody while the account is shut, and are there
when it is opened again.
"""

import datetime as dt

from django.db import IntegrityError, transaction
from django.utils import timezone

from suite.accounts import sessions
from suite.accounts.block_models import AccountBlock
from suite.accounts.models import BreakGlass, OperatorRole, User
from suite.accounts.refusals import RightRefused
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices.workflow import queue

Kind = AccountBlock.Kind
State = AccountBlock.State
LAPSES_AFTER = dt.timedelta(days=7)
GONE = "Quelqu’un s’en est occupé entre-temps, ou la proposition est trop ancienne : refaites-la s’il le faut."


def waiting_of(user: User) -> AccountBlock | None:
    """Return the proposal that waits for a second person, None when there is none."""
    alive = user.blocks.filter(state=State.ASKED, asked_at__gt=timezone.now() - LAPSES_AFTER)
    return alive.select_related("user", "asked_by").first()


@transaction.atomic
def propose(user: User, kind: str, *, by: User, reason: str) -> AccountBlock:
    """Propose to shut an account, or to open it again. Raises RightRefused."""
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.pk == by.pk:
        raise RightRefused("C’est votre propre compte : un collègue doit le proposer.", 422)
    if why := _obstacle(user, kind):
        raise RightRefused(why, 422)
    _lapse()
    try:
        with transaction.atomic():
            block = AccountBlock.objects.create(user=user, kind=kind, asked_by=by, reason=reason.strip()[:300])
    except IntegrityError:
        raise RightRefused("Une proposition attend déjà pour ce compte : décidez d’abord de celle-là.") from None
    _record(block, f"{kind}_proposed", by=by, comment=block.reason)
    return block


@transaction.atomic
def confirm(block: AccountBlock, *, by: User) -> None:
    """Do what somebody else proposed: a shut account is out of every session at once, and its owner is told."""
    user = User.objects.select_for_update().get(pk=block.user_id)
    _require_other(block, by)
    if why := _obstacle(user, block.kind):
        raise RightRefused(why, 422)
    _decide(block, State.DONE, by=by)
    User.objects.filter(pk=user.pk).update(is_active=block.kind == Kind.UNBLOCK)
    done = "blocked" if block.kind == Kind.BLOCK else "unblocked"
    if block.kind == Kind.BLOCK:
        sessions.end_all(user, by=by, reason="account_blocked")
    event = _record(block, done, by=by, comment=block.reason)
    queue("account_blocked", to=user.email, event=event, context={"person": user, "decision": block})


@transaction.atomic
def refuse(block: AccountBlock, *, by: User) -> None:
    """Leave the account as it is; whoever proposed may take its proposal back so."""
    if block.user_id == by.pk:
        raise RightRefused("C’est votre propre compte : un collègue doit décider.", 403)
    _decide(block, State.REFUSED, by=by)
    _record(block, f"{block.kind}_refused", by=by)


def sweep() -> None:
    """Let lapse what nobody decided in a week."""
    with transaction.atomic():
        _lapse()


def _lapse() -> None:
    old = AccountBlock.objects.filter(state=State.ASKED, asked_at__lte=timezone.now() - LAPSES_AFTER)
    for block in old[:200]:
        if AccountBlock.objects.filter(pk=block.pk, state=State.ASKED).update(
            state=State.LAPSED, decided_at=timezone.now()
        ):
            _record(block, f"{block.kind}_lapsed", by=None)


def _obstacle(user: User, kind: str) -> str:
    """Return why this account is not shut, or opened, this way; "" when nothing stands in the way."""
    if BreakGlass.objects.filter(user=user).exists():
        return "C’est un compte de secours : il se retire par la commande « manage.py break_glass »."
    if kind == Kind.BLOCK and not user.is_active:
        return "Ce compte est déjà désactivé."
    if kind == Kind.UNBLOCK and user.is_active:
        return "Ce compte est actif : il n’y a rien à réactiver."
    if kind == Kind.UNBLOCK:
        return ""
    leading = OperatorRole.objects.filter(role=OperatorRole.Role.LEAD, active=True, user__is_active=True)
    for place in user.operator_roles.filter(role=OperatorRole.Role.LEAD, active=True).select_related("operator"):
        if not leading.filter(operator=place.operator).exclude(user=user).exists():
            return f"C’est la dernière personne responsable de {place.operator} : nommez d’abord quelqu’un d’autre."
    return ""


def _require_other(block: AccountBlock, by: User) -> None:
    if by.pk == block.asked_by_id:
        raise RightRefused("Vous l’avez proposé : une seconde personne doit confirmer.", 403)
    if by.pk == block.user_id:
        raise RightRefused("C’est votre propre compte : un collègue doit décider.", 403)


def _decide(block: AccountBlock, state: State, *, by: User) -> None:
    now = timezone.now()
    waiting = AccountBlock.objects.filter(pk=block.pk, state=State.ASKED, asked_at__gt=now - LAPSES_AFTER)
    if not waiting.update(state=state, decided_by=by, decided_at=now):
        raise RightRefused(GONE)
    block.refresh_from_db()


def _record(block: AccountBlock, done: str, *, by: User | None, comment: str = "") -> Event:
    return record("account", block.user_id, f"account.{done}", by=by, payload={"block": str(block.pk)}, comment=comment)
