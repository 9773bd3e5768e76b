"""Whom a mandate concerns besides its person: the team that covers the collectivité, and the link to object."""

from django.conf import settings
from django.urls import reverse

from suite.accounts.mandate_models import MandateProof
from suite.directory.lookup import covering
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.workflow import queue


def tell_operator(proof: MandateProof, event: Event, *, objection: bool = False) -> None:
    """Tell the team that covers the collectivité that something waits for it."""
    operator = operator_of(proof.organization)
    name = "accounts:mandate_objections" if objection else "accounts:mandate_queue"
    context = {"proof": proof, "url": f"{settings.PUBLIC_BASE_URL}{reverse(name)}"}
    to = operator.email if operator and operator.email else settings.CONTACT_EMAIL
    if objection:
        queue("mandate_objected", to=to, event=event, context=context)
    else:
        queue("mandate_to_handle", to=to, event=event, context=context)


def operator_of(organization: Organization) -> Operator | None:
    """Return the team that receives what concerns the collectivité, the national one when no other covers it."""
    local = covering(organization)
    return local[0] if local else Operator.objects.filter(national=True).first()


def objection_url(token: str) -> str:
    """Return the whole address of the page where the town hall objects."""
    return f"{settings.PUBLIC_BASE_URL}{reverse('accounts:mandate_object', args=[token])}"
