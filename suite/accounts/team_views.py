"""The people of a commune: who they are, inviting them, asking to join."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from suite.accounts import invitations, teams
from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.forms import InviteForm, JoinForm, ReasonForm, RoleForm
from suite.accounts.models import AccessRequest, Invitation, Membership, User
from suite.accounts.permissions import (
    ANSWER_ACCESS,
    ASK_ACCESS,
    ASK_CHANGE,
    MANAGE_TEAM,
    SEE_CHANGE,
    SEE_TEAM,
    Role,
    allows,
    check,
    organization_roles,
)
from suite.accounts.refusals import RightRefused
from suite.accounts.rights import live_membership, organizations_of
from suite.accounts.views import landing, person
from suite.directory.models import Organization

TOO_MANY = 429


@require_safe
def teams_(request: HttpRequest) -> HttpResponse:
    """List the teams the person belongs to; an only one is its page."""
    own = list(organizations_of(request.user).select_related("department").order_by("name"))
    if len(own) == 1:
        return redirect("accounts:team", pk=own[0].pk)
    asked = AccessRequest.objects.filter(user=person(request)).select_related("organization").order_by("-created_at")
    return render(request, "accounts/team/teams.html", {"organizations": own, "asked": asked[:20]})


@require_safe
def team(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show who may act for the organization, as what, and why."""
    organization, roles = _organization(request, pk)
    check(SEE_TEAM, roles)
    return _render_team(request, organization, roles)


def _render_team(
    request: HttpRequest, organization: Organization, roles: frozenset[Role], refusal: RightRefused | None = None
) -> HttpResponse:
    members = organization.memberships.exclude(state=Membership.State.ENDED).select_related("user", "decided_by")
    context = {
        "organization": organization,
        "members": members.order_by("state", "user__usual_name", "user__given_name"),
        "invitations": organization.invitations.filter(accepted_at__isnull=True, revoked_at__isnull=True)
        .select_related("invited_by")
        .order_by("-created_at")[:50],
        "asked": organization.access_requests.filter(state=AccessRequest.State.WAITING).select_related("user"),
        "manages": allows(MANAGE_TEAM, roles),
        "changes": allows(ASK_CHANGE, roles),
        "open_changes": organization.administrator_changes.filter(state__in=AdministratorChange.OPEN).select_related(
            "person"
        )
        if allows(SEE_CHANGE, roles)
        else [],
        "answers": allows(ANSWER_ACCESS, roles),
        "refusal": refusal,
    }
    return render(request, "accounts/team/team.html", context, status=refusal.http if refusal else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Invite a colleague by e-mail, as something up to one's own role."""
    organization, roles = _organization(request, pk)
    check(MANAGE_TEAM, roles)
    user = person(request)
    form = InviteForm(request.POST if request.method == "POST" else None, roles=teams.grantable(user, organization))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            if invitations.within_limits(organization, by=user):
                email = form.cleaned_data["email"]
                invitations.invite(organization, email, form.cleaned_data["role"], by=user)
                messages.success(request, f"L’invitation est envoyée à {email}. Elle vaut sept jours.")
                return redirect("accounts:team", pk=organization.pk)
            status = TOO_MANY
            form.add_error(None, "Vous avez envoyé beaucoup d’invitations aujourd’hui : continuez demain.")
    return render(request, "accounts/team/invite.html", {"organization": organization, "form": form}, status=status)


@require_POST
def revoke_invitation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make an invitation worth nothing."""
    invitation = get_object_or_404(Invitation.objects.select_related("organization"), pk=pk, organization__isnull=False)
    organization = invitation.organization
    assert organization is not None  # noqa: S101 - the filter's own word
    roles = organization_roles(request.user, organization)
    check(MANAGE_TEAM, roles)
    try:
        invitations.revoke(invitation, by=person(request))
    except RightRefused as refusal:
        return _render_team(request, organization, roles, refusal)
    messages.success(request, f"L’invitation de {invitation.email} est annulée.")
    return redirect("accounts:team", pk=organization.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def member(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change what one colleague may do: its role, a suspension, an end."""
    membership = get_object_or_404(
        Membership.objects.select_related("user", "organization", "decided_by").exclude(state=Membership.State.ENDED),
        pk=pk,
    )
    check(MANAGE_TEAM, organization_roles(request.user, membership.organization))
    user = person(request)
    roles = teams.grantable(user, membership.organization)
    action = request.POST.get("action", "")
    data = request.POST if request.method == "POST" else None
    role_form = RoleForm(data if action == "role" else None, roles=roles, initial={"role": membership.role})
    reason_form = ReasonForm(data if action in {"suspend", "end"} else None)
    refusal = None
    if request.method == "POST":
        try:
            if _act(membership, action, role_form, reason_form, by=user):
                messages.success(request, f"Le droit de {membership.user.get_full_name()} est changé.")
                return redirect("accounts:team", pk=membership.organization_id)
        except RightRefused as refused:
            refusal = refused
    context = {
        "membership": membership,
        "role_form": role_form,
        "reason_form": reason_form,
        "refusal": refusal,
        "own": membership.user_id == user.pk,
    }
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    return render(request, "accounts/team/member.html", context, status=status)


def _act(membership: Membership, action: str, role_form: RoleForm, reason_form: ReasonForm, *, by: User) -> bool:
    """Do what the pressed button says; False when its form is not complete."""
    if action == "role" and role_form.is_valid():
        teams.change_role(membership, role_form.cleaned_data["role"], by=by)
    elif action == "resume":
        teams.resume(membership, by=by)
    elif action == "suspend" and reason_form.is_valid():
        teams.suspend(membership, by=by, reason=reason_form.cleaned_data["reason"])
    elif action == "end" and reason_form.is_valid():
        teams.end(membership, by=by, reason=reason_form.cleaned_data["reason"])
    elif action not in {"role", "suspend", "end"}:
        raise RightRefused("Choisissez une des actions proposées.", 422)
    else:
        return False
    return True


@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask to join; somebody of the commune, or its operator, answers."""
    organization, roles = _organization(request, pk)
    check(ASK_ACCESS, roles)
    user = person(request)
    if live_membership(user, organization):
        messages.info(request, "Vous faites déjà partie de l’équipe de cette collectivité.")
        return redirect("accounts:team", pk=organization.pk)
    form = JoinForm(request.POST if request.method == "POST" else None)
    waiting = user.access_requests.filter(organization=organization, state=AccessRequest.State.WAITING).first()
    status = 200
    if request.method == "POST" and waiting is None:
        status = 422
        if form.is_valid():
            if teams.within_limits(by=user):
                waiting = teams.ask(organization, form.cleaned_data["message"], by=user)
                status = 200
            else:
                status = TOO_MANY
                form.add_error(None, "Vous avez fait plusieurs demandes aujourd’hui : continuez demain.")
    if request.method == "POST" and waiting is not None:
        messages.success(request, "Votre demande est transmise. La réponse vous parviendra par courriel.")
        return redirect("accounts:join", pk=organization.pk)
    context: dict[str, Any] = {"organization": organization, "form": form, "waiting": waiting}
    return render(request, "accounts/team/join.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let in who asked to join, with a role, or refuse."""
    asked = get_object_or_404(AccessRequest.objects.select_related("user", "organization", "answered_by"), pk=pk)
    check(ANSWER_ACCESS, organization_roles(request.user, asked.organization))
    user = person(request)
    accepting = request.POST.get("action") == "admit"
    form = RoleForm(request.POST if accepting else None, roles=teams.grantable(user, asked.organization))
    refusal = None
    if request.method == "POST":
        try:
            if not accepting:
                teams.decline(asked, by=user)
                messages.success(request, "La demande est refusée ; la personne en est informée.")
                return redirect("accounts:team", pk=asked.organization_id)
            if form.is_valid():
                teams.admit(asked, form.cleaned_data["role"], by=user)
                messages.success(request, f"{asked.user.get_full_name()} fait maintenant partie de l’équipe.")
                return redirect("accounts:team", pk=asked.organization_id)
        except RightRefused as refused:
            refusal = refused
    status = 200 if request.method != "POST" else refusal.http if refusal else 422
    context = {"asked": asked, "form": form, "refusal": refusal}
    return render(request, "accounts/team/answer.html", context, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """Say where an invitation leads; only a POST, by the signed-in person, claims it."""
    user = person(request)
    token = request.POST.get("jeton", "") if request.method == "POST" else request.GET.get("jeton", "")
    found = invitations.find(token)
    why = invitations.problem(found, user)
    if not why and found is not None and request.method == "POST":
        try:
            invitations.accept(found, by=user)
        except RightRefused as refusal:
            why = str(refusal)
        else:
            messages.success(request, "Votre invitation est acceptée.")
            if found.organization_id:
                return redirect("accounts:team", pk=found.organization_id)
            return redirect(landing(user))
    context = {"invitation": found, "token": token, "why": why}
    return render(request, "accounts/team/invitation.html", context, status=410 if why else 200)


def _organization(request: HttpRequest, pk: UUID) -> tuple[Organization, frozenset[Role]]:
    organization = get_object_or_404(Organization.objects.select_related("department"), pk=pk)
    return organization, organization_roles(request.user, organization)
