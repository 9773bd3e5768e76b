"""Whom a change of managers concerns: every manager, at both addresses, the person, the town hall, the operator."""

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.mandate_notifications import operator_of
from suite.accounts.models import Membership
from suite.directory.models import DeclaredContact
from suite.journal.models import Event
from suite.notices.workflow import queue


def ask_for_a_second(change: AdministratorChange, event: Event) -> None:
    """Tell the team that covers the collectivité that somebody must decide."""
    operator = operator_of(change.organization)
    to = operator.email if operator and operator.email else settings.CONTACT_EMAIL
    queue("administrator_to_decide", to=to, event=event, context=_context(change))


def announce(change: AdministratorChange, event: Event, token: str) -> None:
    """Tell everybody what will be done and when, with the link that freezes it."""
    link = f"{settings.PUBLIC_BASE_URL}{reverse('accounts:administrator_object', args=[token])}"
    for address in _everybody(change):
        queue("administrator_announced", to=address, event=event, context={**_context(change), "objection_url": link})


def tell(change: AdministratorChange, event: Event) -> None:
    """Tell everybody what became of it."""
    for address in _everybody(change):
        queue("administrator_told", to=address, event=event, context=_context(change))


def official_emails(change: AdministratorChange) -> list[str]:
    """Return the addresses that the public directory gives of the town hall."""
    contact = DeclaredContact.objects.filter(organization=change.organization_id).first()
    return list(contact.emails) if contact else []


def _everybody(change: AdministratorChange) -> list[str]:
    """Return each address once: the managers' two (a suspended one's too: it may be what is being done to it)."""
    people = [change.person, change.asked_by, *filter(None, [change.replaced])]
    rights = Membership.objects.filter(organization=change.organization_id).exclude(state=Membership.State.ENDED)
    rights = rights.filter(Q(role=Membership.Role.MANAGER) | Q(user__in=people)).select_related("user")
    addresses = [address for right in rights for address in (right.user.email, right.recovery_email)]
    addresses += [one.email for one in people]
    return sorted({*addresses, *official_emails(change), change.email} - {""})


def _context(change: AdministratorChange) -> dict[str, object]:
    return {
        "change": change,
        "url": f"{settings.PUBLIC_BASE_URL}{reverse('accounts:administrator', args=[change.pk])}",
    }
