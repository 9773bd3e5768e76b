"""What people are told about their personal data."""

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from onboarding.intake.models import Dossier
from onboarding.intake.personal_models import ErasureRequest
from onboarding.intake.retention_category import DRAFT_NOTICE
from suite.journal.models import Event
from suite.notices.workflow import queue


def purge_soon(dossier: Dossier) -> None:
    """Tell the author of an expired draft that its content goes in a week."""
    page = reverse("intake:detail", args=[dossier.pk])
    queue(
        "draft_purged_soon",
        to=dossier.requester_email,
        key=f"purge:{dossier.pk}",
        context={
            "dossier": dossier,
            "on": timezone.localdate() + DRAFT_NOTICE,
            "url": f"{settings.PUBLIC_BASE_URL}{page}",
        },
    )


def erasure_asked(asked: ErasureRequest, event: Event) -> None:
    """Tell the team that somebody waits for an answer, without naming anybody."""
    page = reverse("desk:erasures")
    context = {"asked": asked, "url": f"{settings.PUBLIC_BASE_URL}{page}"}
    queue("erasure_asked", to=settings.CONTACT_EMAIL, event=event, context=context)


def erasure_answered(asked: ErasureRequest, event: Event, *, to: str, erased: list[str]) -> None:
    """Answer the person, at the address it had."""
    queue("erasure_answered", to=to, event=event, context={"asked": asked, "erased": erased})
