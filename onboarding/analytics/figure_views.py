"""The published figures: month by month for the operators, and what of them is public. No present state is read."""

import datetime as dt
from typing import NamedTuple

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from onboarding.analytics import figure_export, months, published, stories
from onboarding.analytics.definitions import GROUPS, METRICS, VERSION, Group
from onboarding.analytics.figure_forms import ActivityFilter, MonthFilter
from onboarding.analytics.figure_models import DEPARTMENT, NATIONAL, OPERATOR
from onboarding.analytics.published import Place
from suite.accounts import stepup
from suite.accounts.permissions import SEE_DESK, check, site_roles
from suite.accounts.rights import operator_scope

SPAN = 12
# What the table of territories and operators says of each.
COMPARED = ("requests", "decisions", "backlog", "decision_net_median", "late")
PUBLIC_GROUPS = tuple(
    Group(
        group.code,
        group.label,
        group.unit,
        tuple(one for one in group.metrics if one.code not in {"approvals", "services"}),
        group.says,
    )
    for group in GROUPS
    if group.code in {"volumes", "delays"}
)
# Shown by département: what one may take from another tells no more than they do.
PUBLIC_BY_PLACE = ("requests", "decisions")


class Choice(NamedTuple):
    """What the address asks for, within what the person may see."""

    form: ActivityFilter
    places: list[Place]
    month: dt.date | None

    @property
    def span(self) -> list[dt.date]:
        """The twelve months that end with the one chosen."""
        return months.until(self.month, SPAN) if self.month else []

    @property
    def place(self) -> Place:
        """The scope chosen, with its name."""
        return next(place for place in self.places if place.scope == self.form.scope)


@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """Show a year of published figures of one scope, the reasons given, and the places beside one another."""
    choice = _choice(request)
    form, scope = choice.form, choice.form.scope
    known = published.pairs(published.figures([scope], choice.span))
    compared = [place for place in choice.places if place.scope.startswith((DEPARTMENT, OPERATOR))]
    beside = published.pairs(
        published.figures([place.scope for place in compared], [choice.month]).filter(metric__in=COMPARED)
        if choice.month
        else ()
    )
    return render(
        request,
        "analytics/figure/activity.html",
        {
            "form": form,
            "month": choice.month,
            "place": choice.place,
            "closed_on": months.closing(choice.month) if choice.month else None,
            "version": VERSION,
            "sections": published.all_sections(known, scope, choice.span),
            "reasons": published.reason_rows(known, scope, choice.month) if choice.month else [],
            "reason_columns": ["Publié", "Révisé"],
            "compared": [METRICS[code].label for code in COMPARED],
            "rows": published.territory_rows(beside, compared, choice.month, COMPARED) if choice.month else [],
            "backlog": stories.backlog_on(months.midnight(form.day + dt.timedelta(days=1)), scope)
            if form.day
            else None,
        },
        status=200 if form.is_valid() else 422,
    )


@require_safe
def activity_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same figures, and the numbers they stand on, as a CSV file, under a second factor."""
    choice = _choice(request)
    if answer := stepup.missing(request):
        return answer
    return StreamingHttpResponse(
        figure_export.lines(published.figures([choice.form.scope], choice.span), choice.place.label),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="chiffres-publies.csv"'},
    )


@login_not_required
@require_safe
def public(request: HttpRequest) -> HttpResponse:
    """Show everybody the national figures, and each département's, without the cells that are about too few."""
    form = MonthFilter(request.GET, months=published.published_months())
    month = form.month
    span = months.until(month, SPAN) if month else []
    national = published.pairs(published.figures([NATIONAL], span))
    places = published.pairs(
        published.figures_of_departments(month).filter(metric__in=PUBLIC_BY_PLACE) if month else ()
    )
    shown = published.hide(national | places)
    return render(
        request,
        "analytics/figure/public.html",
        {
            "form": form,
            "month": month,
            "closed_on": months.closing(month) if month else None,
            "fewest": published.FEWEST,
            "sections": [published.public_section(group, shown, span) for group in PUBLIC_GROUPS],
            "columns": [METRICS[code].label for code in PUBLIC_BY_PLACE],
            "rows": published.public_rows(shown, month, PUBLIC_BY_PLACE) if month else [],
        },
        status=200 if form.is_valid() else 422,
    )


def _choice(request: HttpRequest) -> Choice:
    check(SEE_DESK, site_roles(request.user))
    scope = operator_scope(request.user)
    if scope is None:
        raise PermissionDenied(SEE_DESK.refusal)
    places = published.places(scope)
    form = ActivityFilter(request.GET, months=published.published_months(), places=places)
    return Choice(form, places, form.month)
