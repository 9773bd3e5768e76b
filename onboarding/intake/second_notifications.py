"""What is told of acts that take two people, and of what the clock does. The rest is in `notifications`."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.urls import reverse

from onboarding.intake import rules
from onboarding.intake.models import Dossier
from onboarding.intake.proposal_models import Proposal
from suite.accounts.models import OperatorRole, User
from suite.journal.models import Event
from suite.notices.models import Notice
from suite.notices.workflow import queue


def proposed(dossier: Dossier, event: Event, proposal: Proposal) -> None:
    """Ask the leads to confirm an approval."""
    for address in _leads(dossier, proposal.proposer):
        _tell("dossier_proposed", address, dossier, event, page="desk:confirm", **_said(proposal))


def revocation_proposed(dossier: Dossier, event: Event, proposal: Proposal) -> None:
    """Ask the other leads to confirm the end of an approval."""
    for address in _leads(dossier, proposal.proposer):
        _tell("dossier_revocation_proposed", address, dossier, event, page="desk:revoke", **_said(proposal))


def _said(proposal: Proposal) -> dict[str, Any]:
    return {"proposal": proposal, "proposer": proposal.proposer, "reason": proposal.reason}


def lapsed(dossier: Dossier, event: Event, proposal: Proposal) -> None:
    """Tell who proposed that nobody confirmed."""
    _tell("dossier_proposal_lapsed", proposal.proposer.email, dossier, event, page="desk:detail", proposal=proposal)


def reopened(dossier: Dossier, event: Event) -> None:
    """Tell the requester that its dossier is read again."""
    _tell("dossier_reopened", dossier.requester_email, dossier, event)


def revoked(dossier: Dossier, event: Event, *, reason: str) -> None:
    """Tell the requester that the approval is over, why, and that nothing is deleted yet."""
    _tell("dossier_revoked", dossier.requester_email, dossier, event, reason=reason)


def expired(dossier: Dossier, event: Event) -> None:
    """Tell the requester that its dossier is closed for want of an answer."""
    _tell("dossier_expired", reader_of(dossier), dossier, event)


def reminded(dossier: Dossier, event: Event, *, closes_at: dt.datetime) -> Notice | None:
    """Remind the requester of what waits for it, and of the day on which it will be closed."""
    if dossier.status == Dossier.Status.DRAFT:
        return _tell("dossier_draft_waits", reader_of(dossier), dossier, event, closes_at=closes_at)
    return _tell("dossier_changes_wait", reader_of(dossier), dossier, event, closes_at=closes_at)


def reader_of(dossier: Dossier) -> str:
    """Return where the requester reads: the address of the form, or its author's while there is none."""
    return dossier.requester_email or dossier.author.email


def _leads(dossier: Dossier, proposer: User) -> list[str]:
    """Return the leads who could confirm: the operator's, else the national ones, else the team's own address."""
    roles = (
        OperatorRole.objects.filter(role=OperatorRole.Role.LEAD, active=True, user__is_active=True)
        .exclude(user=proposer)
        .exclude(user__email="")
        .select_related("user", "operator")
        .order_by("user__email")
    )
    own = [role.user for role in roles.filter(operator=dossier.operator)]
    people = own or [role.user for role in roles.filter(operator__national=True)]
    addresses = [person.email for person in people if not rules.is_insider(dossier, person)]
    return addresses or ([dossier.operator.email] if dossier.operator else [])


def _tell(
    kind: str,
    to: str,
    dossier: Dossier,
    event: Event,
    *,
    page: str = "intake:detail",
    **context: Any,  # noqa: ANN401 - a template's context
) -> Notice | None:
    return queue(
        kind,
        to=to,
        event=event,
        context={
            "dossier": dossier,
            "url": f"{settings.PUBLIC_BASE_URL.rstrip('/')}{reverse(page, args=[dossier.pk])}",
            **context,
        },
    )
