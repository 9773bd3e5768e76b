"""The pilot group: who is in it, and how much its services are used, week after week."""

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from onboarding.analytics import export, figures
from onboarding.analytics.chart import draw
from onboarding.analytics.forms import PilotFilter
from onboarding.analytics.models import PilotGroup, PilotMember, PilotMemberQuerySet
from suite.accounts import stepup
from suite.accounts.permissions import SEE_DESK, check, site_roles
from suite.accounts.rights import operator_scope
from suite.directory.models import Department

PAGE = 25


@require_safe
def pilot(request: HttpRequest) -> HttpResponse:
    """Show a group's figures from the samples stored: the weeks of the period, and its collectivités."""
    group, members = _scope(request)
    span = figures.span(members)
    departments = Department.objects.filter(pk__in=members.values("organization__department"))
    form = PilotFilter(request.GET, months=span.months() if span else [], departments=departments)
    valid = form.is_valid()

    shown = figures.compute(members, form.since or span.first, span.last) if span else None
    listed = members.select_related("organization__department").order_by("organization__name", "organization__code")
    if form.department:
        listed = listed.filter(organization__department=form.department)
    page = Paginator(listed, PAGE).get_page(request.GET.get("page"))
    users = figures.users_at(span.last, list(page)) if span else {}
    return render(
        request,
        "analytics/pilot.html",
        {
            "group": group,
            "form": form,
            "figures": shown,
            "week": span.last if span else None,
            "chart": draw(shown.weeks, shown.series) if shown else None,
            "page": page,
            "rows": [
                (member, [users.get((member.organization_id, one.name)) for one in shown.series] if shown else [])
                for member in page
            ],
        },
        status=200 if valid else 422,
    )


@require_safe
def pilot_csv(request: HttpRequest) -> HttpResponseBase:
    """Send every weekly sample of the group as a CSV file, as it is read, under a second factor."""
    group, members = _scope(request)
    if answer := stepup.missing(request):
        return answer
    name = group.slug if group else "groupe-pilote"
    return StreamingHttpResponse(
        export.lines(members),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _scope(request: HttpRequest) -> tuple[PilotGroup | None, PilotMemberQuerySet]:
    """Return the group asked for, the first by default, and those of its members that the person may see."""
    check(SEE_DESK, site_roles(request.user))
    scope = operator_scope(request.user)
    if scope is None:
        raise PermissionDenied(SEE_DESK.refusal)
    slug = request.GET.get("groupe")
    group = get_object_or_404(PilotGroup, slug=slug) if slug else PilotGroup.objects.first()
    return group, PilotMember.objects.filter(group=group).visible_to(scope)
