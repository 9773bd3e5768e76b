"""What waits at the desk: the list, its filters, its saved views, its export."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from onboarding.intake import deadlines, desk_filters, export, keyset, saved_views
from onboarding.intake.counting import counts
from onboarding.intake.desk_access import staff_of, way_back
from onboarding.intake.desk_bulk_acts import ACTS
from onboarding.intake.desk_models import SavedView
from onboarding.intake.models import Dossier, NameChoice
from onboarding.intake.moves import GuardFailed, NotAllowed
from suite.accounts import stepup
from suite.accounts.models import OperatorRole, User
from suite.accounts.permissions import SEE_LOAD, allows, site_roles
from suite.accounts.rights import OperatorScope
from suite.directory.models import Department, Operator
from suite.journal.workflow import record

PAGE = 25
STREAM = "desk"
# What a line of the list is made of: half of a dossier's columns are read by nobody there.
SHOWN = (
    "reference", "status", "submitted_at", "created_at", "changed_at", "due_at", "watch_at", "organization__name",
    "organization__department", "organization__departments", "assignee__given_name", "assignee__usual_name",
)  # fmt: skip
BANDS = {
    deadlines.ON_TIME: ("Dans les délais", "success"),
    deadlines.WATCH: ("À surveiller", "warning"),
    deadlines.LATE: ("En retard", "error"),
}


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """List the dossiers in scope, the nearest due date first; the filters live in the address alone."""
    user, scope = staff_of(request)
    views = list(saved_views.views_of(user)[: 2 * saved_views.MOST])
    habit = next((view for view in views if getattr(view, "opens", False)), None)
    if not request.GET and habit:
        return redirect(f"{reverse('desk:queue')}?{habit.query or 'vue=toutes'}")
    scoped = Dossier.objects.followed_by(user)
    filters = desk_filters.read(request.GET)
    found = desk_filters.apply(scoped, filters, user)
    wishes = Prefetch("names", NameChoice.objects.filter(rank=0).only("dossier", "fqdn", "typed"), to_attr="wishes")
    shown = Dossier.objects.select_related("organization", "assignee").prefetch_related(wishes).only(*SHOWN)
    page = keyset.page(found, filters.order, request.GET.get("suite", ""), size=PAGE)
    narrowed = [desk_filters.apply(scoped, desk_filters.read(QueryDict(view.query)), user) for view in views]
    count, *others = counts(user, [found, *narrowed])
    now = timezone.now()
    context = {
        "page": page,
        "rows": [_row(dossier, now) for dossier in keyset.fill(page, shown)],
        "filters": filters,
        "kept": filters.kept,
        "here": f"{request.path}?{filters.query}" if filters.query else f"{request.path}?vue=toutes",
        "count": count,
        "views": [
            {"view": view, "count": said, "current": view.query == filters.query, "mine": view.owner_id == user.pk}
            for view, said in zip(views, others, strict=True)
        ],
        "default": habit.pk if habit else None,
        "acts": ACTS if scope.instructs else {},
        "leads": allows(SEE_LOAD, site_roles(user)),
        **_choices(scope),
    }
    return render(request, "intake/desk_queue/queue.html", context)


def _row(dossier: Dossier, now: Any) -> dict[str, Any]:  # noqa: ANN401 - a moment
    wishes: list[NameChoice] = getattr(dossier, "wishes", [])
    paused = dossier.status == Dossier.Status.NEEDS_CHANGES
    label, colour = ("En pause", "info") if paused else BANDS.get(deadlines.band(dossier, now), ("", ""))
    return {
        "dossier": dossier,
        "wish": wishes[0] if wishes else "",
        "age": deadlines.age(dossier, now) if dossier.status in Dossier.OPEN else None,
        "band": label,
        "colour": colour,
    }


def _choices(scope: OperatorScope) -> dict[str, Any]:
    """Return what the filters offer. Three queries."""
    departments = Department.objects.order_by("code")
    people = User.objects.filter(
        is_active=True,
        operator_roles__active=True,
        operator_roles__role__in=[OperatorRole.Role.INSTRUCTOR, OperatorRole.Role.LEAD],
    )
    if not scope.national:
        departments = departments.filter(code__in=scope.departments)
        people = people.filter(operator_roles__operator__in=scope.operators)
    known = list(Operator.objects.only("name", "departments").order_by("name"))
    return {
        "teams": [one for one in known if one.pk in scope.operators],
        "statuses": desk_filters.STATUSES,
        "assignments": desk_filters.ASSIGNMENTS,
        "people": [
            (str(one.pk), one.get_full_name())
            for one in people.only("given_name", "usual_name").distinct().order_by("usual_name")[:200]
        ],
        "departments": [(code, f"{code} {name}") for code, name in departments.values_list("code", "name")],
        "operators": [(str(one.pk), one.name) for one in known],
        "territories": [(str(one.pk), one.name) for one in known if one.departments],
        "populations": desk_filters.POPULATIONS,
        "families": desk_filters.FAMILIES,
        "mandates": desk_filters.MANDATES,
        "reasons": desk_filters.reasons(),
        "sensitivities": desk_filters.SENSITIVITY,
        "delays": desk_filters.DELAYS,
        "flags": desk_filters.FLAGS,
        "orders": desk_filters.ORDER_LABELS,
    }


# --- Saved views ------------------------------------------------------------------------------------------------------


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters of the page under a name."""
    user, scope = staff_of(request)
    team = request.POST.get("equipe", "")
    operator = Operator.objects.filter(pk__in=[one for one in scope.operators if str(one) == team]).first()
    try:
        view = saved_views.save(
            user,
            name=request.POST.get("name", ""),
            query=request.POST.get("query", ""),
            operator=operator,
            default=bool(request.POST.get("default")),
        )
    except GuardFailed as refusal:
        messages.error(request, str(refusal))
        return redirect(way_back(request))
    messages.success(request, f"La vue « {view.name} » est enregistrée.")
    return redirect(f"{reverse('desk:queue')}?{view.query or 'vue=toutes'}")


def _view(request: HttpRequest, pk: UUID) -> tuple[SavedView, User]:
    user, _ = staff_of(request)
    return get_object_or_404(saved_views.views_of(user), pk=pk), user


@require_POST
def delete_view(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Forget a saved view."""
    view, user = _view(request, pk)
    try:
        saved_views.delete(view, by=user)
    except NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    messages.success(request, f"La vue « {view.name} » est supprimée.")
    return redirect(f"{reverse('desk:queue')}?vue=toutes")


@require_POST
def default_view(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Open the desk on this view, or on everything when it was the one."""
    view, user = _view(request, pk)
    if request.POST.get("retirer"):
        saved_views.choose(None, by=user)
        messages.success(request, "La liste s’ouvre de nouveau sur toutes les demandes.")
    else:
        saved_views.choose(view, by=user)
        messages.success(request, f"La liste s’ouvre désormais sur la vue « {view.name} ».")
    return redirect(way_back(request))


# --- Export -----------------------------------------------------------------------------------------------------------


@require_POST
def export_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the list as a file; who took it, and with which filters, is in the journal."""
    user, _ = staff_of(request)
    if answer := stepup.missing(request):
        return answer
    filters = desk_filters.read(QueryDict(request.POST.get("query", "")))
    # What was searched may name a person: it goes with the text that can be erased.
    facts = {name: value for name, value in filters.kept.items() if name != "q"}
    record(STREAM, user.pk, "desk.exported", by=user, payload={"filters": facts}, comment=filters.kept.get("q", ""))
    found = desk_filters.apply(Dossier.objects.followed_by(user), filters, user)
    column = filters.order.column
    response = StreamingHttpResponse(
        export.queue(found.order_by(f"-{column}" if filters.order.descending else column, "pk")),
        content_type="text/csv; charset=utf-8",
    )
    response["Content-Disposition"] = f'attachment; filename="demandes-{timezone.localdate().isoformat()}.csv"'
    response["Cache-Control"] = "no-store"
    return response
