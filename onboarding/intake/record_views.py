"""The dossier as a record: taken away as a PDF or as JSON, and the public facts that somebody says are wrong."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.intake import claims, moves, papers, record, rules
from onboarding.intake.author_forms import ClaimForm
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete
from onboarding.intake.request_models import Claim
from onboarding.intake.views import render_detail
from suite.accounts.permissions import EDIT_DOSSIER, check
from suite.accounts.views import person


def seen(request: HttpRequest, pk: object) -> Dossier:
    """Return a dossier in the person's sight, with all that its pages read; 404 otherwise."""
    return get_object_or_404(complete().filter(pk__in=Dossier.objects.visible_to(request.user).values("pk")), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HttpRequest, pk: object) -> HttpResponse:
    """Say that a public fact is wrong: kept with the dossier, and read by whoever instructs it."""
    dossier, user, status = seen(request, pk), person(request), 200
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    form = ClaimForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                claims.report(dossier, **form.cleaned_data, by=user)
            except moves.GuardFailed as refusal:
                form.add_error("fact", str(refusal))
            except moves.Refusal as refusal:
                return render_detail(request, dossier, refusal)
            else:
                messages.success(request, "L’erreur est signalée : la personne qui instruit la demande la lira.")
                return redirect("intake:detail", pk=dossier.pk)
    shown = [(Claim.Fact(code).label, value) for code, value in claims.facts(dossier.organization).items() if value]
    context = {"dossier": dossier, "form": form, "facts": shown, "claims": dossier.claims.all()}
    return render(request, "intake/record/report.html", context, status=status)


@never_cache
@require_safe
def paper(request: HttpRequest, pk: object) -> HttpResponse:
    """Give the dossier as a PDF."""
    dossier = seen(request, pk)
    response = HttpResponse(papers.pdf(dossier), content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="demande-{dossier.reference}.pdf"'
    return response


@never_cache
@require_safe
def data(request: HttpRequest, pk: object) -> HttpResponse:
    """Give the dossier as JSON, for a machine: `record` says what is in it."""
    dossier = seen(request, pk)
    response = JsonResponse(record.record(dossier), json_dumps_params={"ensure_ascii": False, "indent": 2})
    response["Content-Disposition"] = f'attachment; filename="demande-{dossier.reference}.json"'
    return response
