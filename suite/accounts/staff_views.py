"""The people of an operator, and the identities that ask to take over an account."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from suite.accounts import invitations, relinks, stepup
from suite.accounts import staff as verbs
from suite.accounts.forms import CheckForm, InviteForm, ReasonForm, RoleForm
from suite.accounts.models import Invitation, OperatorRole, RelinkRequest, User
from suite.accounts.permissions import (
    DECIDE_RELINK,
    LIST_RELINKS,
    LIST_STAFF,
    MANAGE_STAFF,
    SEE_RELINK,
    allows,
    check,
    operator_roles,
    site_roles,
)
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import operator_scope
from suite.accounts.team_views import TOO_MANY
from suite.accounts.views import person
from suite.directory.models import Operator

PAGE = 20
ROLES = [(role.value, str(role.label)) for role in OperatorRole.Role]


@require_safe
def staff(request: HttpRequest) -> HttpResponse:
    """List the staff of the operators one leads, and who is invited."""
    check(LIST_STAFF, site_roles(request.user))
    return _render_staff(request)


def _render_staff(request: HttpRequest, refusal: RightRefused | None = None) -> HttpResponse:
    led = _led(person(request)).prefetch_related(
        Prefetch("staff", OperatorRole.objects.select_related("user").order_by("-active", "user__usual_name")),
        Prefetch(
            "invitations",
            Invitation.objects.filter(accepted_at__isnull=True, revoked_at__isnull=True).select_related("invited_by"),
        ),
    )
    page = Paginator(led.order_by("-national", "name"), PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "refusal": refusal}
    return render(request, "accounts/staff/staff.html", context, status=refusal.http if refusal else 200)


def _led(user: User) -> QuerySet[Operator]:
    """Return the operators whose staff the person manages: all for a superadmin and for the national one's leads."""
    scope = operator_scope(user)
    leading = {place for place in (scope.places if scope else ()) if place.role == OperatorRole.Role.LEAD}
    if user.is_superuser or any(place.national for place in leading):
        return Operator.objects.all()
    return Operator.objects.filter(pk__in={place.operator for place in leading})


@require_http_methods(["GET", "HEAD", "POST"])
def invite_staff(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Invite somebody into the staff of an operator."""
    operator = get_object_or_404(Operator, pk=pk)
    check(MANAGE_STAFF, operator_roles(request.user, operator))
    if asked := stepup.before_sending(request):
        return asked
    user = person(request)
    form = InviteForm(request.POST if request.method == "POST" else None, roles=ROLES)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            if invitations.within_limits(operator, by=user):
                email = form.cleaned_data["email"]
                invitations.invite(operator, email, form.cleaned_data["role"], by=user)
                messages.success(request, f"L’invitation est envoyée à {email}. Elle vaut sept jours.")
                return redirect("accounts:staff")
            status = TOO_MANY
            form.add_error(None, "Vous avez envoyé beaucoup d’invitations aujourd’hui : continuez demain.")
    return render(request, "accounts/staff/invite_staff.html", {"operator": operator, "form": form}, status=status)


@require_POST
def revoke_staff_invitation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make an invitation into an operator's staff worth nothing."""
    invitation = get_object_or_404(Invitation.objects.select_related("operator"), pk=pk, operator__isnull=False)
    assert invitation.operator is not None  # noqa: S101 - the filter's own word
    check(MANAGE_STAFF, operator_roles(request.user, invitation.operator))
    try:
        invitations.revoke(invitation, by=person(request))
    except RightRefused as refusal:
        return _render_staff(request, refusal)
    messages.success(request, f"L’invitation de {invitation.email} est annulée.")
    return redirect("accounts:staff")


@require_http_methods(["GET", "HEAD", "POST"])
def colleague(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change the role of one member of the staff, suspend it, restore it."""
    place = get_object_or_404(OperatorRole.objects.select_related("user", "operator", "decided_by"), pk=pk)
    check(MANAGE_STAFF, operator_roles(request.user, place.operator))
    if asked := stepup.before_sending(request):
        return asked
    user = person(request)
    action = request.POST.get("action", "")
    data = request.POST if request.method == "POST" else None
    role_form = RoleForm(data if action == "role" else None, roles=ROLES, initial={"role": place.role})
    reason_form = ReasonForm(data if action in {"suspend", "restore"} else None)
    refusal = None
    if request.method == "POST":
        try:
            if _act(place, action, role_form, reason_form, by=user):
                messages.success(request, f"Le rôle de {place.user.get_full_name()} est changé.")
                return redirect("accounts:staff")
        except RightRefused as refused:
            refusal = refused
    context = {
        "place": place,
        "role_form": role_form,
        "reason_form": reason_form,
        "refusal": refusal,
        "own": place.user_id == user.pk,
    }
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    return render(request, "accounts/staff/colleague.html", context, status=status)


def _act(place: OperatorRole, action: str, role_form: RoleForm, reason_form: ReasonForm, *, by: User) -> bool:
    """Do what the pressed button says; False when its form is not complete."""
    if action == "role" and role_form.is_valid():
        verbs.change_role(place, role_form.cleaned_data["role"], by=by)
    elif action == "suspend" and reason_form.is_valid():
        verbs.suspend(place, by=by, reason=reason_form.cleaned_data["reason"])
    elif action == "restore" and reason_form.is_valid():
        verbs.restore(place, by=by, reason=reason_form.cleaned_data["reason"])
    elif action not in {"role", "suspend", "restore"}:
        raise RightRefused("Choisissez une des actions proposées.", 422)
    else:
        return False
    return True


@require_safe
def relinks_(request: HttpRequest) -> HttpResponse:
    """List the identities that came with the address of an account of the person's scope."""
    check(LIST_RELINKS, site_roles(request.user))
    found = relinks.visible_to(person(request))
    context = {
        "waiting": found.filter(state__in=relinks.OPEN, expires_at__gt=timezone.now())[:100],
        "past": found.exclude(state__in=relinks.OPEN).order_by("-decided_at")[:20],
    }
    return render(request, "accounts/staff/relinks.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def relink(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one request beside its account, and decide."""
    found = get_object_or_404(RelinkRequest.objects.select_related("user", "seconded_by", "decided_by"), pk=pk)
    roles = relinks.roles(person(request), found)
    check(DECIDE_RELINK if request.method == "POST" else SEE_RELINK, roles)
    if asked := stepup.before_sending(request):
        return asked
    user = person(request)
    form = CheckForm(request.POST if request.method == "POST" else None)
    refusal = None
    if request.method == "POST" and form.is_valid():
        try:
            return _decide(request, found, form.cleaned_data["reason"], by=user)
        except RightRefused as refused:
            refusal = refused
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    open_ = found.state in relinks.OPEN and found.expires_at > timezone.now()
    context = {
        "asked": found,
        "memberships": found.user.memberships.select_related("organization"),
        "places": found.user.operator_roles.select_related("operator"),
        "identities": found.user.identities.order_by("-seen_at"),
        "two": relinks.needs_two(found),
        "form": form,
        "refusal": refusal,
        "decides": open_ and allows(DECIDE_RELINK, roles) and found.seconded_by_id != user.pk,
    }
    return render(request, "accounts/staff/relink.html", context, status=status)


def _decide(request: HttpRequest, found: RelinkRequest, reason: str, *, by: User) -> HttpResponse:
    action = request.POST.get("action")
    if action == "refuse":
        relinks.refuse(found, by=by, reason=reason)
        messages.success(request, "Le rapprochement est refusé.")
    elif action == "approve":
        if relinks.approve(found, by=by, check=reason):
            messages.success(request, "Le compte est rattaché à sa nouvelle identité. La personne peut se connecter.")
        else:
            messages.info(request, "Votre accord est noté. Un second opérateur doit donner le sien.")
    else:
        raise RightRefused("Choisissez une des actions proposées.", 422)
    return redirect("accounts:relinks")
