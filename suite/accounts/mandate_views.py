"""The pages where somebody proves its mandate, and where a town hall answers without an account."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from suite.accounts import codes, limits, mandate_objections, mandate_workflow, mandates
from suite.accounts.addresses import visitor
from suite.accounts.documents import DocumentRefused
from suite.accounts.mandate_forms import CaseCodeForm, CodeForm, DocumentForm, EmailCodeForm, LetterForm
from suite.accounts.mandate_models import MandateProof
from suite.accounts.mandate_workflow import MandateRefused, Subject
from suite.accounts.models import User
from suite.directory.lookup import by_code, compact
from suite.directory.models import DeclaredContact, Organization

# Per visitor's address: far more than a town hall needs, far fewer than guessing needs.
CONFIRMS_AN_HOUR = 300
HOUR = 3600


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # the site is closed to anonymous people before any view
        raise PermissionDenied
    return request.user


def _organization(code: str) -> Organization:
    found = next((it.organization for it in by_code(compact(code)) if it.organization.closed_on is None), None)
    if found is None or found.code != code:
        raise Http404
    return found


@never_cache
@require_safe
def detail(request: HttpRequest, code: str) -> HttpResponse:
    """Show how well one's mandate is proved, and the routes to prove it."""
    return _render(request, _organization(code))


def _render(
    request: HttpRequest,
    organization: Organization,
    *,
    refused: str = "",
    entering: MandateProof | None = None,
    **bound: Any,  # noqa: ANN401 - forms of dsfr, which ships no types
) -> HttpResponse:
    user = _user(request)
    contact = DeclaredContact.objects.filter(organization=organization).first()
    proofs = list(
        MandateProof.objects.filter(organization=organization, user=user)
        .exclude(state__in=[MandateProof.State.REVOKED, MandateProof.State.EXPIRED])
        .order_by("-created_at")[:10]
    )
    to_enter = [
        (one, bound["code"] if entering and entering.pk == one.pk else CodeForm(auto_id=f"code_{index + 1}_%s"))
        for index, one in enumerate(proofs)
        if one.state == MandateProof.State.PENDING and one.route != MandateProof.Route.DOCUMENT
    ]
    level = mandates.mandate(user, organization)
    failed = bool(refused or bound)
    forms = {
        "email_form": bound.get("email") or (EmailCodeForm(emails=contact.emails) if contact else None),
        "letter_form": bound.get("letter") or LetterForm(),
        "document_form": bound.get("document") or DocumentForm(),
    }
    context = {
        "organization": organization,
        "contact": contact,
        "free_mail": contact is not None and any(codes.is_free_mail(email) for email in contact.emails),
        "level": level,
        "double": level >= mandates.Mandate.DOUBLE,
        "proofs": proofs,
        "to_enter": to_enter,
        "objected": mandates.open_objections().filter(organization=organization, user=user).exists(),
        "refused": refused,
        "failed": failed,
        "errors": [field for form in bound.values() for field in form if field.errors],
        **forms,
    }
    return render(request, "accounts/mandate/detail.html", context, status=422 if failed else 200)


def _ask(
    request: HttpRequest,
    organization: Organization,
    name: str,
    form: Any,  # noqa: ANN401 - dsfr ships no types
    act: Callable[[], str],
) -> HttpResponse:
    """Make a request by one route, and answer: its page, with what was wrong if anything was."""
    if not form.is_valid():
        return _render(request, organization, **{name: form})
    try:
        messages.success(request, act())
    except (MandateRefused, DocumentRefused) as refusal:
        return _render(request, organization, refused=str(refusal))
    return redirect("accounts:mandate_detail", code=organization.code)


@require_POST
def ask_email(request: HttpRequest, code: str) -> HttpResponse:
    """Have a code sent to the official mailbox."""
    organization, user = _organization(code), _user(request)
    contact = DeclaredContact.objects.filter(organization=organization).first()
    form = EmailCodeForm(request.POST, emails=contact.emails if contact else [])

    def act() -> str:
        proof = mandate_workflow.request_email_code(
            organization, address=form.cleaned_data["address"], by=user, elected=form.cleaned_data["elected"]
        )
        if proof.state == MandateProof.State.HELD:
            return (
                "Plusieurs codes ont déjà été envoyés aujourd’hui à cette mairie : une personne de notre équipe s’en "
                "occupe."
            )
        return f"Un code est envoyé à {proof.sent_to}. Il vaut 30 minutes."

    if contact is None or not contact.emails:
        try:
            mandate_workflow.request_email_code(organization, address=0, by=user, elected=False)
        except MandateRefused as refusal:
            return _render(request, organization, refused=str(refusal))
    return _ask(request, organization, "email", form, act)


@require_POST
def ask_letter(request: HttpRequest, code: str) -> HttpResponse:
    """Have a letter sent to the town hall."""
    organization, user = _organization(code), _user(request)
    form = LetterForm(request.POST)

    def act() -> str:
        proof = mandate_workflow.request_letter(
            organization, subject=Subject(user=user), by=user, elected=form.cleaned_data["elected"]
        )
        if proof.state == MandateProof.State.HELD:
            return "Un autre courrier est déjà en route vers cette mairie : une personne de notre équipe s’en occupe."
        return "Un courrier va partir vers la mairie. Il arrive en quelques jours ; son code vaut 30 jours."

    return _ask(request, organization, "letter", form, act)


@require_POST
def hand_in(request: HttpRequest, code: str) -> HttpResponse:
    """Hand in a written mandate."""
    organization, user = _organization(code), _user(request)
    form = DocumentForm(request.POST, request.FILES)

    def act() -> str:
        mandate_workflow.hand_in_document(
            organization,
            form.cleaned_data["file"].read(),
            subject=Subject(user=user),
            by=user,
            elected=form.cleaned_data["elected"],
        )
        return "Votre document est déposé : une personne de notre équipe va le lire et vous répondra par courriel."

    return _ask(request, organization, "document", form, act)


@require_POST
def enter(request: HttpRequest, pk: object) -> HttpResponse:
    """Type the code that was received."""
    user = _user(request)
    proof = get_object_or_404(MandateProof.objects.filter(user=user).select_related("organization"), pk=pk)
    form = CodeForm(request.POST, auto_id="code_0_%s")
    if not form.is_valid():
        return _render(request, proof.organization, entering=proof, code=form)
    try:
        mandate_workflow.enter_code(proof, form.cleaned_data["code"], by=user)
    except MandateRefused as refusal:
        if refusal.code == "wrong_code":
            form.add_error("code", str(refusal))
            return _render(request, proof.organization, entering=proof, code=form)
        return _render(request, proof.organization, refused=str(refusal))
    messages.success(request, f"Votre habilitation pour {proof.organization.name} est prouvée par cette voie.")
    return redirect("accounts:mandate_detail", code=proof.organization.code)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Let a town hall without an account type the code of its letter: the dossier prepared for it may go on."""
    form = CaseCodeForm(request.POST if request.method == "POST" else None)
    confirmed = None
    status = 200
    if request.method == "POST":
        status = 422
        if not limits.allow("mandate-confirm", visitor(request), limit=CONFIRMS_AN_HOUR, seconds=HOUR):
            form.is_valid()
            form.add_error(None, "Trop d’essais depuis votre réseau : recommencez dans une heure.")
            status = 429
        elif form.is_valid():
            try:
                confirmed = mandate_workflow.confirm_case(form.cleaned_data["reference"], form.cleaned_data["code"])
                status = 200
            except MandateRefused as refusal:
                form.add_error("code", str(refusal))
    context = {"form": form, "confirmed": confirmed}
    return _quiet(render(request, "accounts/mandate/confirm.html", context, status=status))


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def object_(request: HttpRequest, token: str) -> HttpResponse:
    """Let a town hall say that it does not know the person; looking changes nothing."""
    proof = mandate_objections.objected_proof(token)
    if proof is None:
        raise Http404
    done = request.method == "POST"
    if done:
        mandate_objections.object_to(proof)
    return _quiet(render(request, "accounts/mandate/object.html", {"proof": proof, "done": done}))


def _quiet(response: HttpResponse) -> HttpResponse:
    """Keep a page out of search engines."""
    # No Referrer-Policy of its own: the site's keeps its address out of other sites' logs, and "no-referrer" would make
    # browsers send the page's form with a null origin, which the CSRF check refuses.
    response["X-Robots-Tag"] = "noindex"
    return response
