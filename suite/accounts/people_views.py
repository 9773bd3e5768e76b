"""The accounts an operator's leads answer for: found by name, shut and opened again by two people."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from suite.accounts import blocks, stepup
from suite.accounts import people as scope
from suite.accounts.block_models import AccountBlock
from suite.accounts.forms import ReasonForm
from suite.accounts.models import User
from suite.accounts.permissions import BLOCK_ACCOUNT, LIST_ACCOUNTS, check, site_roles
from suite.accounts.refusals import RightRefused
from suite.accounts.views import person

PAGE = 25
SHORTEST, LONGEST = 3, 100


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Find an account by name or address; without a word, list those that are shut or about to be."""
    check(LIST_ACCOUNTS, site_roles(request.user))
    words = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST]
    # Nobody decides of its own account, nor here of the sealed ones.
    found = scope.in_sight_of(person(request)).filter(break_glass__isnull=True).exclude(pk=person(request).pk)
    short = 0 < len(words) < SHORTEST
    if words and not short:
        named = found.annotate(whole=Concat("given_name", Value(" "), "usual_name"))
        found = named.filter(Q(whole__icontains=words) | Q(email__icontains=words))
    else:
        found = found.filter(Q(is_active=False) | Q(blocks__state=AccountBlock.State.ASKED)).distinct()
    page = Paginator(found.order_by("usual_name", "given_name", "pk"), PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "words": words, "short": short, "shortest": SHORTEST}
    return render(request, "accounts/people/people.html", context)


@require_safe
def account(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show an account: its rights, and what was proposed about it."""
    return _render_account(request, _found(request, pk))


def _found(request: HttpRequest, pk: UUID) -> User:
    found = get_object_or_404(User, pk=pk)
    check(BLOCK_ACCOUNT, scope.roles(person(request), found))
    return found


def _render_account(
    request: HttpRequest,
    found: User,
    *,
    form: Any = None,  # noqa: ANN401 - dsfr ships no types
    refusal: RightRefused | None = None,
) -> HttpResponse:
    waiting = blocks.waiting_of(found)
    context = {
        "account": found,
        "memberships": found.memberships.select_related("organization").order_by("organization__name"),
        "places": found.operator_roles.select_related("operator"),
        "identities": found.identities.order_by("-seen_at"),
        "past": found.blocks.exclude(state=AccountBlock.State.ASKED)
        .select_related("asked_by", "decided_by")
        .order_by("-asked_at")[:20],
        "waiting": waiting,
        "mine": waiting is not None and waiting.asked_by_id == person(request).pk,
        "form": form or ReasonForm(),
        "refusal": refusal,
    }
    status = refusal.http if refusal else 422 if form else 200
    return render(request, "accounts/people/account.html", context, status=status)


@stepup.required(mailbox=True)
@require_POST
def propose(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Propose to shut the account, or to open it again; a second person decides."""
    found = _found(request, pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _render_account(request, found, form=form)
    kind = AccountBlock.Kind.BLOCK if found.is_active else AccountBlock.Kind.UNBLOCK
    try:
        blocks.propose(found, kind, by=person(request), reason=form.cleaned_data["reason"])
    except RightRefused as refusal:
        return _render_account(request, found, refusal=refusal)
    messages.success(request, "C’est proposé. Une seconde personne responsable doit confirmer.")
    return redirect("accounts:account", pk=found.pk)


@stepup.required(single_use=True, mailbox=True)
@require_POST
def decide(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Do what somebody else proposed, or leave the account as it is."""
    block = get_object_or_404(AccountBlock.objects.select_related("user", "asked_by"), pk=pk)
    check(BLOCK_ACCOUNT, scope.roles(person(request), block.user))
    try:
        done = _decide(block, request.POST.get("action"), by=person(request))
    except RightRefused as refusal:
        return _render_account(request, block.user, refusal=refusal)
    messages.success(request, done)
    return redirect("accounts:account", pk=block.user_id)


def _decide(block: AccountBlock, action: str | None, *, by: User) -> str:
    """Do what the pressed button says, and say what was done."""
    if action == "confirm":
        blocks.confirm(block, by=by)
        done = "désactivé, ses sessions sont fermées" if block.kind == AccountBlock.Kind.BLOCK else "réactivé"
        return f"Le compte de {block.user.get_full_name()} est {done}. La personne est prévenue."
    if action == "refuse":
        blocks.refuse(block, by=by)
        return "La proposition est écartée : le compte reste comme il était."
    raise RightRefused("Choisissez une des actions proposées.", 422)
