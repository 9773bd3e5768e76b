"""The handover of a commune, for its own people."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from onboarding.agreements import handover as verbs
from onboarding.agreements.forms import HandoverForm
from onboarding.agreements.handover_models import Handover, HandoverCheck
from onboarding.agreements.views import scoped, user_of
from onboarding.agreements.workflow import AgreementRefused
from suite.accounts.models import Membership, User
from suite.accounts.permissions import ACCEPT_AGREEMENTS, MANAGE_TEAM, SEE_AGREEMENTS, allows, check
from suite.directory.models import Organization


@require_http_methods(["GET", "HEAD", "POST"])
def handover(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what passes from one municipal team to the next, and take what people say of it."""
    organization, roles = scoped(request, pk)
    posted = request.method == "POST"
    check(ACCEPT_AGREEMENTS if posted else SEE_AGREEMENTS, roles)
    current = verbs.opened(organization)
    starting = posted and request.POST.get("action") == "start"
    form = HandoverForm(
        request.POST if starting else None, initial={"since": verbs.last_election() or timezone.localdate()}
    )
    refusal = None
    if posted and (not starting or form.is_valid()):
        try:
            said = _act(request, organization, current, form, by=user_of(request))
        except AgreementRefused as refused:
            refusal = refused
        else:
            messages.success(request, said)
            return redirect("agreements:handover", pk=organization.pk)
    context: dict[str, Any] = {
        "organization": organization,
        "handover": current,
        "election": verbs.last_election(),
        "past": Handover.objects.filter(organization=organization, closed_at__isnull=False)
        .select_related("closed_by")
        .order_by("-closed_at")[:10],
        "form": form,
        "refusal": refusal,
        "acts": allows(ACCEPT_AGREEMENTS, roles),
        "manages": allows(MANAGE_TEAM, roles),
    }
    if current:
        context |= {
            "checklist": verbs.checklist(current),
            "members": organization.memberships.exclude(state=Membership.State.ENDED)
            .select_related("user")
            .order_by("user__usual_name"),
            "mailboxes": verbs.mailboxes(organization),
            "departing": set(current.mailboxes.values_list("resource", flat=True)),
            "items": HandoverCheck.Item,
        }
    status = 200 if not posted else refusal.http if refusal else 422
    return render(request, "agreements/handover/handover.html", context, status=status)


def _act(
    request: HttpRequest, organization: Organization, current: Handover | None, form: HandoverForm, *, by: User
) -> str:
    """Do what the pressed button says, and return what to tell."""
    action = request.POST.get("action", "")
    if action == "start":
        data = form.cleaned_data
        verbs.start(organization, since=data["since"], outcome=data["outcome"], by=by)
        return "La passation est ouverte. Suivez la liste, dans l’ordre qui vous convient."
    if current is None:
        raise AgreementRefused("Aucune passation n’est ouverte : commencez par en ouvrir une.", http=409)
    if action == "mailboxes":
        count = verbs.list_departing(current, request.POST.getlist("mailboxes"), by=by)
        return "Aucune boîte n’est à désactiver : c’est noté." if not count else f"Boîtes désignées : {count}."
    if action == "close":
        verbs.close(current, by=by)
        return "La passation est terminée. Merci."
    verbs.tick(current, action.removeprefix("tick-"), by=by)
    return "C’est noté."
