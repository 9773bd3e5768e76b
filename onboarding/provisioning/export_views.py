"""The copies of everything: asked for, waited for, taken away."""

from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_http_methods, require_POST

from onboarding.provisioning import exporting
from onboarding.provisioning.change_models import Export
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.place import person, place
from suite.accounts import mandates, stepup
from suite.accounts.permissions import SEE_EXPORTS, TAKE_EXPORT, Role, allows

CONFLICT, GONE = 409, 410
SHOWN = 10


@require_http_methods(["GET", "HEAD", "POST"])
def exports(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List the copies with where each is, and make one."""
    deployment, held = place(request, pk, SEE_EXPORTS)
    if (missing := stepup.before_sending(request, mailbox=True)) is not None:
        return missing
    if request.method != "POST":
        return _page(request, deployment, held)
    try:
        exporting.ask(deployment, by=person(request))
    except WrongState as refusal:
        return _page(request, deployment, held, refusal=str(refusal), status=CONFLICT)
    messages.success(request, "La copie se prépare ; cette page dit où elle en est.")
    return redirect("provisioning:exports", pk=deployment.pk)


@require_POST
def download(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Hand a copy over to a manager whose mandate is proved."""
    seen = Export.objects.filter(deployment__in=Deployment.objects.visible_to(request.user))
    export = get_object_or_404(seen, pk=pk)
    deployment, held = place(request, export.deployment_id, TAKE_EXPORT)
    if (missing := stepup.missing(request, mailbox=True)) is not None:
        return missing
    verdict = mandates.verdict(mandates.Act.EXPORT, request.user, deployment.organization)
    if not verdict.allowed:
        return _page(request, deployment, held, refusal=verdict.sentence, remedy=verdict.page, status=CONFLICT)
    path = exporting.downloaded(export, by=person(request))
    if path is None:
        said = "Cette copie n’est plus là : ses sept jours sont passés. Demandez-en une autre."
        return _page(request, deployment, held, refusal=said, status=GONE)
    name = f"{deployment.domain}-{export.asked_at:%Y-%m-%d}.zip"
    response = FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/zip")
    add_never_cache_headers(response)
    return response


def _page(  # noqa: PLR0913 - the page has these parts
    request: HttpRequest,
    deployment: Deployment,
    held: frozenset[Role],
    *,
    refusal: str = "",
    remedy: str = "",
    status: int = 200,
) -> HttpResponse:
    rows = list(
        Export.objects.filter(deployment=deployment).select_related("asked_by").prefetch_related("parts")[:SHOWN]
    )
    context = {
        "deployment": deployment,
        "exports": [(one, *_progress(one)) for one in rows],
        "under_way": any(one.under_way for one in rows),
        "estimate": exporting.estimate(deployment),
        "days": exporting.KEPT.days,
        "may_take": allows(TAKE_EXPORT, held),
        "refusal": refusal,
        "remedy": remedy,
    }
    return render(request, "provisioning/export/exports.html", context, status=status)


def _progress(export: Export) -> tuple[int, int, list[str]]:
    """Return how many parts are done, of how many, and what could not be copied."""
    parts = list(export.parts.all())
    return sum(part.done_at is not None for part in parts), len(parts), [part.note for part in parts if part.note]
