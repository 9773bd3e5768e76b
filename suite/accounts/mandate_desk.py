"""The operators' pages on mandates: what waits, letters to print, documents to read, objections to settle."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from suite.accounts import documents, letters, mandate_desk_workflow, stepup
from suite.accounts.mandate_desk_workflow import NotAllowed
from suite.accounts.mandate_forms import AcceptForm, FindingForm, ReasonForm
from suite.accounts.mandate_models import Document, MandateProof
from suite.accounts.mandate_workflow import MandateRefused
from suite.accounts.models import User
from suite.accounts.permissions import DECIDE_MANDATE
from suite.accounts.rights import OperatorScope, operator_scope

PAGE = 100


def _staff(request: HttpRequest) -> tuple[User, OperatorScope]:
    user = request.user
    scope = operator_scope(user)
    if not isinstance(user, User) or scope is None:
        raise PermissionDenied("Cette page est réservée aux équipes des opérateurs et de l’ANCT.")
    return user, scope


def _proof(request: HttpRequest, pk: object) -> MandateProof:
    user, _ = _staff(request)
    return get_object_or_404(mandate_desk_workflow.proofs_followed_by(user), pk=pk)


def _deciding(request: HttpRequest, pk: object) -> tuple[MandateProof, User]:
    """Let in who decides; who only reads is told so before anything it sent is looked at."""
    shown, (user, scope) = _proof(request, pk), _staff(request)
    if not scope.instructs:
        raise PermissionDenied(DECIDE_MANDATE.refusal)
    return shown, user


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """List the documents to read and the requests held back, oldest first."""
    user, _ = _staff(request)
    State, Route = MandateProof.State, MandateProof.Route  # noqa: N806 - two classes
    followed = mandate_desk_workflow.proofs_followed_by(user).order_by("created_at")
    context = {
        "documents": followed.filter(route=Route.DOCUMENT, state=State.PENDING)[:PAGE],
        "held": followed.filter(state=State.HELD)[:PAGE],
        "letters": mandate_desk_workflow.letters_followed_by(user).count(),
        "objections": mandate_desk_workflow.objections_followed_by(user).count(),
    }
    return render(request, "accounts/mandate_desk/queue.html", context)


@never_cache
@require_safe
def proof(request: HttpRequest, pk: object) -> HttpResponse:
    """Show one proof, and what may be done about it."""
    return _render_proof(request, _proof(request, pk))


def _render_proof(
    request: HttpRequest,
    shown: MandateProof,
    *,
    refused: str = "",
    accept: Any = None,  # noqa: ANN401 - dsfr ships no types
    refuse: Any = None,  # noqa: ANN401 - idem
) -> HttpResponse:
    _, scope = _staff(request)
    document = Document.objects.filter(proof=shown).first()
    same = Document.objects.filter(sha256=document.sha256).exclude(pk=document.pk).count() if document else 0
    failed = bool(refused or accept or refuse)
    context = {
        "proof": shown,
        "document": document,
        "same": same,
        "instructs": scope.instructs,
        "accept_form": accept or AcceptForm(),
        "refuse_form": refuse or ReasonForm(),
        "refused": refused,
        "failed": failed,
        "errors": [field for form in (accept, refuse) if form for field in form if field.errors],
    }
    return render(request, "accounts/mandate_desk/proof.html", context, status=422 if failed else 200)


def _act(request: HttpRequest, shown: MandateProof, verb: Callable[[], None], done: str) -> HttpResponse:
    try:
        verb()
    except NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except MandateRefused as refusal:
        return _render_proof(request, _proof(request, shown.pk), refused=str(refusal))
    messages.success(request, done)
    return redirect("accounts:mandate_queue")


@stepup.required()
@require_POST
def let_go(request: HttpRequest, pk: object) -> HttpResponse:
    """Send what was held back."""
    shown, user = _deciding(request, pk)
    return _act(request, shown, lambda: mandate_desk_workflow.let_go(shown, by=user), "L’envoi est débloqué.")


@stepup.required()
@require_POST
def accept(request: HttpRequest, pk: object) -> HttpResponse:
    """Take a document as a proof."""
    shown, user = _deciding(request, pk)
    form = AcceptForm(request.POST)
    if not form.is_valid():
        return _render_proof(request, shown, accept=form)
    data = form.cleaned_data
    return _act(
        request,
        shown,
        lambda: mandate_desk_workflow.accept_document(
            shown,
            by=user,
            signatory=data["signatory"],
            signed_on=data["signed_on"],
            term_ends_on=data["term_ends_on"],
        ),
        "Le document est accepté ; la personne en est informée.",
    )


@stepup.required()
@require_POST
def refuse(request: HttpRequest, pk: object) -> HttpResponse:
    """Refuse a document, or a held request."""
    shown, user = _deciding(request, pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _render_proof(request, shown, refuse=form)
    return _act(
        request,
        shown,
        lambda: mandate_desk_workflow.turn_down(shown, by=user, reason=form.cleaned_data["reason"]),
        "C’est refusé ; la personne en est informée.",
    )


@never_cache
@stepup.required()
@require_POST
def document(request: HttpRequest, pk: object) -> HttpResponse:
    """Hand the document over as a download, never shown by the site; who takes it out is written down."""
    shown, user = _deciding(request, pk)
    kept = get_object_or_404(Document, proof=shown)
    content = documents.read(kept)
    if content is None:
        raise Http404
    mandate_desk_workflow.record_reading(shown, by=user)
    response = HttpResponse(content, content_type=documents.content_type(kept))
    return _download(response, f"habilitation-{shown.organization.code}.{kept.kind}")


def _download(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """List the letters to print; a POST prints those chosen in one PDF, or marks them as posted."""
    user, scope = _staff(request)
    waiting = mandate_desk_workflow.letters_followed_by(user)
    refused = ""
    if request.method == "POST" and not scope.instructs:
        raise PermissionDenied("Votre rôle permet de suivre les courriers, pas de les envoyer.")
    if asked := stepup.before_sending(request):
        return asked
    if request.method == "POST":
        wanted = set(request.POST.getlist("letter")[:PAGE])
        chosen = [letter for letter in waiting[:PAGE] if str(letter.pk) in wanted]
        try:
            if request.POST.get("action") == "posted":
                count = mandate_desk_workflow.mark_posted(chosen, by=user)
                messages.success(request, f"Marqués comme postés : {count}. Leurs codes sont effacés d’ici.")
                return redirect("accounts:mandate_mail")
            papers = mandate_desk_workflow.print_letters(chosen, by=user)
        except NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except MandateRefused as refusal:
            refused = str(refusal)
        else:
            today = timezone.localdate()
            response = HttpResponse(letters.merged(papers, today=today), content_type="application/pdf")
            return _download(response, f"courriers-{today:%Y-%m-%d}.pdf")
    context = {"letters": waiting[:PAGE], "instructs": scope.instructs, "refused": refused}
    return render(request, "accounts/mandate_desk/mail.html", context, status=422 if refused else 200)


@require_safe
def objections(request: HttpRequest) -> HttpResponse:
    """List the objections that wait, oldest first."""
    user, _ = _staff(request)
    context = {"objections": mandate_desk_workflow.objections_followed_by(user)[:PAGE]}
    return render(request, "accounts/mandate_desk/objections.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def objection(request: HttpRequest, pk: object) -> HttpResponse:
    """Show one objection; a POST settles it."""
    user, scope = _staff(request)
    shown = get_object_or_404(mandate_desk_workflow.objections_followed_by(user), pk=pk)
    if request.method == "POST" and not scope.instructs:
        raise PermissionDenied(DECIDE_MANDATE.refusal)
    if asked := stepup.before_sending(request):
        return asked
    form = FindingForm(request.POST if request.method == "POST" else None)
    refused = ""
    if request.method == "POST" and form.is_valid():
        upheld = form.cleaned_data["outcome"] == "uphold"
        verb = mandate_desk_workflow.uphold_objection if upheld else mandate_desk_workflow.dismiss_objection
        try:
            verb(shown, by=user, finding=form.cleaned_data["finding"])
        except NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except MandateRefused as refusal:
            refused = str(refusal)
        else:
            messages.success(request, "L’objection est close.")
            return redirect("accounts:mandate_objections")
    context = {"objection": shown, "form": form, "instructs": scope.instructs, "refused": refused}
    failed = refused or (request.method == "POST" and form.errors)
    return render(request, "accounts/mandate_desk/objection.html", context, status=422 if failed else 200)
