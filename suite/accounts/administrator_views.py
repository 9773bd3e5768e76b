"""The pages of a change of managers: ask, follow, confirm, refuse, give up, object, settle."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from suite.accounts import administrators, limits, mandates, stepup
from suite.accounts.addresses import visitor
from suite.accounts.administrator_forms import ChangeForm, DecisionForm, FindingForm
from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.administrator_notifications import official_emails
from suite.accounts.codes import mask
from suite.accounts.models import Membership
from suite.accounts.permissions import (
    ASK_CHANGE,
    DECIDE_CHANGE,
    LIST_CHANGES,
    REFUSE_CHANGE,
    SEE_CHANGE,
    Act,
    Role,
    allows,
    check,
    organization_roles,
    site_roles,
)
from suite.accounts.refusals import RightRefused
from suite.accounts.views import person
from suite.directory.models import Organization

PAGE = 100
OBJECTIONS_AN_HOUR, HOUR = 300, 3600
TOO_MANY = 429


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """List the changes that wait for a second person, for the end of their delay, or for a conclusion."""
    check(LIST_CHANGES, site_roles(request.user))
    followed = administrators.followed_by(person(request))
    State = AdministratorChange.State  # noqa: N806 - a class
    context = {
        "objected": followed.filter(state=State.OBJECTED).order_by("objected_at")[:PAGE],
        "asked": followed.filter(state=State.ASKED).order_by("asked_at")[:PAGE],
        "confirmed": followed.filter(state=State.CONFIRMED).order_by("due_at")[:PAGE],
        "past": followed.exclude(state__in=AdministratorChange.OPEN).order_by("-ended_at")[:20],
    }
    return render(request, "accounts/administrator/queue.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask for a change of the organization's managers."""
    organization = get_object_or_404(Organization.objects.select_related("department"), pk=pk)
    roles = organization_roles(request.user, organization)
    check(ASK_CHANGE, roles)
    mailbox = request.POST.get("kind") == AdministratorChange.Kind.EMAIL
    if asked := stepup.before_sending(request, mailbox=mailbox):
        return asked
    user = person(request)
    manages = Role.MANAGER in roles
    members = organization.memberships.exclude(state=Membership.State.ENDED).select_related("user")
    members = members.order_by("user__usual_name", "user__given_name")
    by_id = {str(right.user_id): right.user for right in members}
    form = ChangeForm(
        request.POST if request.method == "POST" else None,
        members=list(members),
        manages=manages,
        initial={name: request.GET[name] for name in ("kind", "person", "replaced") if name in request.GET},
    )
    refusal = None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            change = administrators.ask(
                organization,
                data["kind"],
                person=by_id[data["person"]],
                replaced=by_id.get(data["replaced"]),
                speaker=by_id.get(data.get("speaker", "")),
                email=data["email"],
                reason=data["reason"],
                by=user,
            )
        except RightRefused as refused:
            refusal = refused
        else:
            messages.success(request, "Votre demande est transmise : une seconde personne doit la confirmer.")
            return redirect("accounts:administrator", pk=change.pk)
    context = {
        "organization": organization,
        "form": form,
        "refusal": refusal,
        "manages": manages,
        "verdict": mandates.verdict(mandates.Act.CHANGE_ADMINISTRATOR, user, organization) if manages else None,
        "open": organization.administrator_changes.filter(state__in=AdministratorChange.OPEN).select_related("person"),
        "alone": not administrators.managers(organization).exists(),
    }
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    return render(request, "accounts/administrator/ask.html", context, status=status)


@never_cache
@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one change: what, who, when, and what may be done about it."""
    change, roles = _change(request, pk, SEE_CHANGE)
    return _render_detail(request, change, roles)


def _change(request: HttpRequest, pk: UUID, act: Act) -> tuple[AdministratorChange, frozenset[Role]]:
    found = AdministratorChange.objects.select_related(
        "organization__department",
        "person",
        "replaced",
        "asked_by",
        "speaker",
        "confirmed_by",
        "settled_by",
        "ended_by",
    )
    change = get_object_or_404(found, pk=pk)
    roles = organization_roles(request.user, change.organization)
    check(act, roles)
    return change, roles


def _render_detail(
    request: HttpRequest,
    change: AdministratorChange,
    roles: frozenset[Role],
    *,
    form: Any = None,  # noqa: ANN401 - dsfr ships no types
    refusal: RightRefused | None = None,
) -> HttpResponse:
    user = person(request)
    party = {change.asked_by_id, change.person_id, change.speaker_id, change.replaced_id}
    asked, objected = change.state == change.State.ASKED, change.state == change.State.OBJECTED
    leads = allows(DECIDE_CHANGE, roles) and user.pk not in party
    settles = objected and leads and user.pk != change.confirmed_by_id
    context = {
        "change": change,
        "official": [mask(email) for email in official_emails(change)],
        "confirms": asked and leads,
        "refuses": asked and allows(REFUSE_CHANGE, roles) and user.pk not in {change.asked_by_id, change.person_id},
        "settles": settles,
        "cancels": change.open and allows(ASK_CHANGE, roles),
        "operates": bool(roles & {Role.STAFF_READER, Role.INSTRUCTOR, Role.LEAD, Role.SUPERADMIN}),
        "form": form or (FindingForm() if settles else DecisionForm()),
        "refusal": refusal,
    }
    status = refusal.http if refusal else 422 if form else 200
    return render(request, "accounts/administrator/detail.html", context, status=status)


def _act(
    request: HttpRequest,
    found: tuple[AdministratorChange, frozenset[Role]],
    form: Any,  # noqa: ANN401 - dsfr ships no types
    verb: Callable[[str], None],
    done: str,
) -> HttpResponse:
    change, roles = found
    if not form.is_valid():
        return _render_detail(request, change, roles, form=form)
    try:
        verb(form.cleaned_data["reason"])
    except RightRefused as refusal:
        change.refresh_from_db()
        return _render_detail(request, change, roles, refusal=refusal)
    messages.success(request, done)
    return redirect("accounts:administrator", pk=change.pk)


@stepup.required(single_use=True, mailbox=True)
@require_POST
def confirm(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Agree as the second person; the 48 hours begin."""
    change, roles = _change(request, pk, DECIDE_CHANGE)

    def verb(check: str) -> None:
        administrators.confirm(change, by=person(request), check=check)

    done = "C’est confirmé. Les gestionnaires et la mairie sont prévenus ; le changement se fera dans 48 heures."
    return _act(request, (change, roles), DecisionForm(request.POST), verb, done)


@stepup.required()
@require_POST
def refuse(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Refuse what somebody else asked."""
    change, roles = _change(request, pk, REFUSE_CHANGE)

    def verb(reason: str) -> None:
        administrators.refuse(change, by=person(request), reason=reason)

    return _act(request, (change, roles), DecisionForm(request.POST), verb, "La demande est refusée.")


@stepup.required()
@require_POST
def cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give it up, while it is not done."""
    change, roles = _change(request, pk, ASK_CHANGE)

    def verb(reason: str) -> None:
        administrators.cancel(change, by=person(request), reason=reason)

    return _act(request, (change, roles), DecisionForm(request.POST), verb, "La demande est annulée.")


@stepup.required(single_use=True, mailbox=True)
@require_POST
def settle(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say whether an objection was founded."""
    change, roles = _change(request, pk, DECIDE_CHANGE)
    form = FindingForm(request.POST)

    def verb(finding: str) -> None:
        chosen = administrators.uphold if form.cleaned_data["outcome"] == "uphold" else administrators.dismiss
        chosen(change, by=person(request), finding=finding)

    return _act(request, (change, roles), form, verb, "L’objection est tranchée ; chacun en est prévenu.")


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def object_(request: HttpRequest, token: str) -> HttpResponse:
    """Freeze a change, by the link that everybody concerned received; nobody needs an account for it."""
    if request.method == "POST" and not limits.allow(
        "administrator objection", visitor(request), limit=OBJECTIONS_AN_HOUR, seconds=HOUR
    ):
        return render(request, "accounts/administrator/object.html", {"too_many": True}, status=TOO_MANY)
    change = administrators.objected_change(token)
    if change is None:
        raise Http404
    frozen = administrators.object_to(change) if request.method == "POST" else False
    context = {"change": change, "frozen": frozen or change.state == change.State.OBJECTED}
    response = render(request, "accounts/administrator/object.html", context)
    response["X-Robots-Tag"] = "noindex"
    return response
