"""The verbs of first credentials: issue, claim, fulfil, reveal, revoke (services.md, 6.5).

A password is never in a mail, a log, a task nor on a page of ours but the one that its holder asked for. Reading a link
consumes nothing; claiming it is one UPDATE; the provider is asked by a worker, a try that fails arms the link again.
"""

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

from onboarding.provisioning import access_box, backends
from onboarding.provisioning.access_models import CredentialLink
from onboarding.provisioning.backends.protocols import Access
from onboarding.provisioning.errors import NotYet, Outcome, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step
from suite.accounts.models import User
from suite.accounts.permissions import Role, commune_role, staff_roles
from suite.accounts.rights import live_membership
from suite.journal.workflow import record
from suite.notices.models import Notice
from suite.notices.workflow import queue

logger = logging.getLogger(__name__)

KIND = "first_access"  # of the message
A_DAY = 3  # links per mailbox
TRIES = 10  # claims of one link
LEASE = timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS)
ASKED_FOR = timedelta(minutes=5)  # how long a claim waits for the provider before the link is armed again
KEPT = timedelta(minutes=15)  # how long what was sealed waits to be read
MADE_LATELY = timedelta(days=7)  # mailboxes older than that never get a first link by themselves
MESSAGE_LIFE = 30  # seconds; a later sweep writes another message
MOST = 100  # of each kind, per sweep
LONGEST_TOKEN = 100
State, Channel = CredentialLink.State, CredentialLink.Channel

ASK_AGAIN = "Demandez un nouveau lien à votre mairie ou à votre opérateur."


class AccessRefused(Exception):
    """Why nothing was given: a French sentence, and the HTTP status that says it."""

    def __init__(self, sentence: str, *, http: int = 409) -> None:
        super().__init__(sentence)
        self.http = http


@dataclass(frozen=True)
class Issued:
    """A new link, and its address: the only copy of the token."""

    link: CredentialLink
    url: str


def roles(user: User, deployment: Deployment) -> frozenset[Role]:
    """Return in which roles a person faces a deployment's mailboxes: its commune's, and those of who manages it."""
    membership = live_membership(user, deployment.organization)
    own = frozenset({commune_role(membership.role)}) if membership else frozenset()
    return own | staff_roles(user, {deployment.operator_id})


def recovery(resource: Resource) -> str:
    """Return the address to write to, outside the new domain; "" when there is none."""
    address = str(resource.desired.get("recovery_email") or "").strip()
    local, _, domain = address.rpartition("@")
    domain, own = domain.lower().rstrip("."), resource.deployment.domain
    return "" if not local or not domain or domain == own or domain.endswith(f".{own}") else address


@transaction.atomic
def issue(resource: Resource, *, by: User | None, channel: str = Channel.MAIL, first: bool = False) -> Issued:
    """Make a link, cancel the one before it, and mail it to the recovery address unless it goes on paper.

    Raises `AccessRefused`: no such mailbox, no address to write to, or one when paper is asked, too many today.
    """
    # Whoever makes links for this mailbox queues here: three a day are three, whatever people do at once.
    locked = Resource.objects.select_for_update(of=("self",)).select_related("deployment").get(pk=resource.pk)
    _check(locked)
    to, now = recovery(locked), timezone.now()
    if channel == Channel.MAIL and not to:
        raise AccessRefused(
            "Cette boîte n’a pas d’adresse de secours hors du nouveau domaine : imprimez le lien pour le remettre en "
            "main propre."
        )
    if channel == Channel.PAPER and to:
        raise AccessRefused("Cette boîte a une adresse de secours : envoyez-y le lien, c’est plus sûr qu’un papier.")
    if CredentialLink.objects.filter(resource=locked, issued_at__gt=now - timedelta(days=1)).count() >= A_DAY:
        raise AccessRefused("Trois liens ont déjà été faits en un jour pour cette boîte : réessayez demain.", http=429)
    _cancel(locked, by=by)
    token = secrets.token_urlsafe(32)
    hours = settings.FIRST_ACCESS_HOURS if channel == Channel.MAIL else settings.FIRST_ACCESS_PAPER_HOURS
    link = CredentialLink.objects.create(
        resource=locked,
        digest=digest(token),
        channel=channel,
        first=first,
        issued_by=by,
        issued_at=now,
        expires_at=now + timedelta(hours=hours),
    )
    _tell("issued", link, by=by, channel=str(channel))
    url = f"{settings.PUBLIC_BASE_URL}{reverse('provisioning:first')}?jeton={token}"
    if channel == Channel.MAIL:
        # Not as « url »: that one is kept by the ledger, when the message itself is erased.
        context = {"address": locked.key, "link": url, "until": link.expires_at, "deployment": locked.deployment}
        queue("first_access", to=to, context=context, key=f"first-access:{link.pk}")
    return Issued(link, url)


@transaction.atomic
def revoke(resource: Resource, *, by: User) -> None:
    """Make the live link of a mailbox worth nothing. Raises `AccessRefused` when there is none."""
    if not _cancel(resource, by=by):
        raise AccessRefused("Il n’y a plus de lien à annuler pour cette boîte.")


def find(token: str) -> CredentialLink | None:
    """Return the link of a token, whatever became of it."""
    if not 0 < len(token) <= LONGEST_TOKEN:
        return None
    return CredentialLink.objects.select_related("resource").filter(digest=digest(token)).first()


@transaction.atomic
def claim(token: str) -> CredentialLink:
    """Take the link, once, and have a worker ask the provider. Raises `AccessRefused`."""
    now = timezone.now()
    taken = CredentialLink.objects.filter(
        digest=digest(token), state=State.OPEN, expires_at__gt=now, tries__lt=TRIES
    ).update(
        state=State.CLAIMED,
        claimed_at=now,
        due_at=now,
        tries=F("tries") + 1,
        box_key=access_box.public_key(token),
        code="",
    )
    link = find(token)
    if link is None:
        raise AccessRefused(f"Ce lien n’est pas valable : il est peut-être incomplet. {ASK_AGAIN}", http=410)
    if not taken:
        raise _why_not(link)
    _tell("claimed", link, by=None)
    transaction.on_commit(lambda: _wake(link.pk), robust=True)
    return link


def fulfil(link_id: UUID) -> bool:
    """Ask the provider for the way in of a claimed link, and seal it; False when it was not ours to do, or failed."""
    now = timezone.now()
    lease = now + LEASE
    claimed = CredentialLink.objects.filter(pk=link_id, state=State.CLAIMED)
    if not claimed.filter(due_at__lte=now).update(due_at=lease):
        return False
    link = CredentialLink.objects.select_related("resource").get(pk=link_id)
    try:
        access = backends.mail().issue_access(link.resource.key)
    except (NotYet, Unavailable, Refused) as outcome:
        _failed(link, outcome, lease)
        return False
    box = access_box.sealed(access, key=bytes(link.box_key or b""), bound_to=str(link.pk))
    with transaction.atomic():
        kept = claimed.filter(due_at=lease).update(
            state=State.READY, sealed=box, ready_at=timezone.now(), access_until=access.expires_at, due_at=None
        )
        if kept:
            _tell("ready", link, by=None)
    return bool(kept)


@transaction.atomic
def reveal(token: str) -> tuple[CredentialLink, Access]:
    """Open the box for the one reading that there is, and erase it. Raises `AccessRefused`; nothing is then lost."""
    link = CredentialLink.objects.select_for_update().filter(digest=digest(token), state=State.READY).first()
    if link is None:
        found = find(token)
        if found is None:
            raise AccessRefused(f"Ce lien n’est pas valable. {ASK_AGAIN}", http=410)
        raise _why_not(found)
    try:
        access = access_box.opened(bytes(link.sealed or b""), token=token, bound_to=str(link.pk))
    except access_box.Unreadable:
        logger.error("The box of link %s does not open with its own token.", link.pk)  # noqa: TRY400 - it tells nothing
        raise AccessRefused(f"Cet accès ne se lit pas. {ASK_AGAIN}") from None
    now = timezone.now()
    CredentialLink.objects.filter(pk=link.pk).update(
        state=State.USED, ended_at=now, sealed=None, box_key=None, due_at=None
    )
    _tell("shown", link, by=None)
    return link, access


def sweep() -> int:
    """Ask again for claims, arm links again, send first links, erase messages that left. Return how many were woken."""
    now = timezone.now()
    for link in CredentialLink.objects.filter(state=State.CLAIMED, claimed_at__lte=now - ASKED_FOR)[:MOST]:
        _arm(link, "time_limit")
    unread = Q(ready_at__lte=now - KEPT) | Q(access_until__lte=now)
    for link in CredentialLink.objects.filter(unread, state=State.READY)[:MOST]:
        _arm(link, "not_read")
    for resource in without_link()[:MOST]:
        _issue_first(resource)
    # The message has left, or will not: what it said is nobody's any more.
    Notice.objects.filter(kind=KIND).exclude(state=Notice.State.QUEUED).exclude(body_text="").update(
        body_text="", body_html=""
    )
    due = CredentialLink.objects.filter(state=State.CLAIMED, due_at__lte=now).values_list("pk", flat=True)[:MOST]
    for pk in due:
        _wake(pk)
    return len(due)


def without_link() -> list[Resource]:
    """Return the mailboxes made lately, by whichever path, that nobody was told how to enter."""
    made = Step.objects.filter(
        name__in=[Step.Name.MAILBOX, Step.Name.MAILBOX_CHANGE],
        status=Step.Status.DONE,
        finished_at__gt=timezone.now() - MADE_LATELY,
    )
    boxes = Resource.objects.filter(
        pk__in=made.values("resource"),
        kind=Resource.Kind.MAILBOX,
        observed__isnull=False,
        access_links__isnull=True,
        deployment__closed_at__isnull=True,
        deployment__closure__isnull=True,
    )
    # By containment: a key that is not there would make any comparison unknown, and leave its mailbox out. Shut,
    # nobody enters.
    for unwanted in ({"kind": "redirect"}, {"active": False}, {"recovery_email": ""}):
        boxes = boxes.exclude(desired__contains=unwanted)
    found = boxes.select_related("deployment").order_by("observed_at")
    return [box for box in found[: 5 * MOST] if recovery(box)]


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _check(resource: Resource) -> None:
    desired, seen = resource.desired, resource.observed
    if resource.kind != Resource.Kind.MAILBOX or desired.get("kind") == "redirect":
        raise AccessRefused("Une redirection n’a pas d’accès : ses courriels arrivent ailleurs.")
    if resource.deployment.closed_at is not None:
        raise AccessRefused("Cette mise en service est fermée.")
    if seen is None or seen.get("absent"):
        raise AccessRefused("Cette boîte n’existe pas encore : le lien partira de lui-même quand elle sera prête.")


def _issue_first(resource: Resource) -> None:
    try:
        issue(resource, by=None, first=True)
    except AccessRefused as refusal:
        logger.warning("No first link for mailbox %s: %s", resource.pk, refusal)
    except IntegrityError:
        logger.info("Mailbox %s has had its first link from another worker.", resource.pk)


def _cancel(resource: Resource, *, by: User | None) -> bool:
    live = CredentialLink.objects.filter(resource=resource, state__in=CredentialLink.LIVE)
    for link in live.select_related("resource"):
        ended = live.filter(pk=link.pk).update(
            state=State.CANCELLED, ended_at=timezone.now(), sealed=None, box_key=None, due_at=None
        )
        if ended:
            _tell("cancelled", link, by=by)
            return True
    return False


def _failed(link: CredentialLink, outcome: Outcome, lease: datetime) -> None:
    """Wait a little when the provider says so; otherwise arm the link again: it is never burnt."""
    if isinstance(outcome, NotYet):
        again = timezone.now() + min(outcome.after, timedelta(seconds=30))
        CredentialLink.objects.filter(pk=link.pk, state=State.CLAIMED, due_at=lease).update(due_at=again)
        return
    _arm(link, outcome.code, due_at=lease)


@transaction.atomic
def _arm(link: CredentialLink, code: str, **still: datetime) -> None:
    """Let the link be used again, with why the last try did not succeed, unless it moved on meanwhile."""
    armed = CredentialLink.objects.filter(pk=link.pk, state=link.state, **still).update(
        state=State.OPEN,
        code=code[:60],
        sealed=None,
        box_key=None,
        due_at=None,
        claimed_at=None,
        ready_at=None,
        access_until=None,
    )
    if armed:
        _tell("failed", link, by=None, code=code[:60])


def _why_not(link: CredentialLink) -> AccessRefused:
    if link.state == State.USED:
        return AccessRefused(f"Ce lien a déjà servi : il ne sert qu’une fois. {ASK_AGAIN}", http=410)
    if link.state == State.CANCELLED:
        return AccessRefused(f"Ce lien a été remplacé par un autre, ou annulé. {ASK_AGAIN}", http=410)
    if link.expired:
        return AccessRefused(f"Ce lien n’est plus valable : son délai est passé. {ASK_AGAIN}", http=410)
    if link.state == State.OPEN and link.tries >= TRIES:
        return AccessRefused(f"Ce lien a été essayé trop de fois. {ASK_AGAIN}", http=429)
    if link.state == State.OPEN:
        return AccessRefused("Cet accès n’est pas prêt : ouvrez de nouveau le lien que vous avez reçu.")
    return AccessRefused("Ce lien vient d’être ouvert : l’accès se prépare dans la page déjà ouverte.")


def _tell(what: str, link: CredentialLink, *, by: User | None, **more: str) -> None:
    payload = {"link": str(link.pk), "resource": str(link.resource_id), **more}
    record("deployment", link.resource.deployment_id, f"access_{what}", by=by, payload=payload)


def _wake(link_id: UUID) -> None:
    """Have a worker ask at once; a broker out of reach costs one sweep."""
    from onboarding.provisioning import tasks  # noqa: PLC0415 - the task calls this module back

    try:
        tasks.fulfil_access.apply_async((str(link_id),), expires=MESSAGE_LIFE, retry=False)
    except (KombuError, ChannelError, OSError):
        logger.warning("The broker is out of reach: link %s waits for the next sweep.", link_id)
