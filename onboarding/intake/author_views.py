"""Several people on one dossier: who may edit it, inviting, asking to join, answering."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.intake import coauthors, moves, rules
from onboarding.intake.author_forms import InviteForm, JoinForm
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete
from onboarding.intake.request_models import CoAuthor
from onboarding.intake.views import organization_of
from suite.accounts.permissions import EDIT_DOSSIER, check
from suite.accounts.views import person

TOO_MANY = 429


def _dossier(request: HttpRequest, pk: object) -> Dossier:
    user = person(request)
    dossier = get_object_or_404(complete().filter(pk__in=Dossier.objects.visible_to(user).values("pk")), pk=pk)
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    return dossier


@require_safe
def authors(request: HttpRequest, pk: object) -> HttpResponse:
    """Say who may edit the dossier."""
    return _render_authors(request, _dossier(request, pk))


def _render_authors(request: HttpRequest, dossier: Dossier, refusal: moves.Refusal | None = None) -> HttpResponse:
    context = {
        "dossier": dossier,
        "people": coauthors.people(dossier),
        "manages": coauthors.manages(dossier, person(request)),
        "shared": dossier.status in coauthors.SHARED,
        "refusal": refusal,
    }
    return render(request, "intake/author/authors.html", context, status=refusal.status if refusal else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest, pk: object) -> HttpResponse:
    """Invite somebody by e-mail to edit this dossier, and nothing else."""
    dossier, user, status = _dossier(request, pk), person(request), 200
    if not coauthors.manages(dossier, user):
        raise PermissionDenied("Seuls l’auteur de la demande et les personnes de la collectivité y invitent quelqu’un.")
    form = InviteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        status = 422
        if form.is_valid():
            if not coauthors.within_limits(user):
                form.add_error(None, "Vous avez envoyé beaucoup d’invitations aujourd’hui : continuez demain.")
                status = TOO_MANY
            else:
                try:
                    coauthors.invite(dossier, form.cleaned_data["email"], by=user)
                except moves.Refusal as refusal:
                    form.add_error("email", str(refusal))
                    status = refusal.status
                else:
                    messages.success(request, f"L’invitation est envoyée à {form.cleaned_data['email']}.")
                    return redirect("intake:authors", pk=dossier.pk)
    return render(request, "intake/author/invite.html", {"dossier": dossier, "form": form}, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """Say where a link leads; only a POST, by the signed-in person, claims it."""
    user = person(request)
    token = request.POST.get("jeton", "") if request.method == "POST" else request.GET.get("jeton", "")
    found = coauthors.find(token)
    why = coauthors.problem(found, user)
    if not why and found is not None and request.method == "POST":
        try:
            coauthors.accept(found, by=user)
        except moves.Refusal as refusal:
            why = str(refusal)
        else:
            messages.success(request, f"Vous pouvez maintenant modifier la demande {found.dossier.reference}.")
            return redirect("intake:detail", pk=found.dossier_id)
    # Whoever has no right to the link learns nothing of the dossier.
    context = {"invitation": None if why else found, "token": token, "why": why}
    return render(request, "intake/author/invitation.html", context, status=410 if why else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def ask_to_join(request: HttpRequest, code: str) -> HttpResponse:
    """Ask whoever wrote the open dossier of a commune to be let in."""
    user, organization = person(request), organization_of(code)
    dossier = coauthors.joinable(coauthors.open_dossier(organization)) if organization else None
    if organization is None or dossier is None:
        raise Http404
    if Dossier.objects.requested_by(user).filter(pk=dossier.pk).exists():
        return redirect("intake:detail", pk=dossier.pk)
    form, status = JoinForm(request.POST if request.method == "POST" else None), 200
    if request.method == "POST":
        status = 422
        if form.is_valid() and coauthors.within_limits(user, "dossier-join"):
            coauthors.ask(dossier, form.cleaned_data["message"], by=user)
            messages.success(request, "Votre demande est transmise à la personne qui a fait celle de la collectivité.")
            return redirect("intake:list")
        if form.is_valid():
            form.add_error(None, "Vous avez beaucoup demandé aujourd’hui : continuez demain.")
            status = TOO_MANY
    return render(
        request, "intake/author/ask_to_join.html", {"organization": organization, "form": form}, status=status
    )


@require_http_methods(["GET", "HEAD", "POST"])
def answer_join(request: HttpRequest, pk: object, who: object) -> HttpResponse:
    """Let in who asks, or not."""
    dossier, user = _dossier(request, pk), person(request)
    if not coauthors.manages(dossier, user):
        raise PermissionDenied(
            "Seuls l’auteur de la demande et les personnes de la collectivité y admettent quelqu’un."
        )
    asked = get_object_or_404(
        CoAuthor.objects.select_related("user", "dossier__organization"),
        pk=who, dossier=dossier, user__isnull=False, state__in=[CoAuthor.State.ASKED, CoAuthor.State.ACTIVE],
    )  # fmt: skip
    refused, status = "", 200
    if request.method == "POST":
        action = request.POST.get("action")
        if action not in {"admit", "refuse"}:
            refused, status = "Choisissez d’accepter ou de refuser.", 422
        else:
            try:
                coauthors.answer(asked, admit=action == "admit", by=user)
            except moves.Refusal as refusal:
                refused, status = str(refusal), refusal.status
            else:
                done = "peut maintenant modifier la demande" if action == "admit" else "en est informée"
                messages.success(request, f"{asked.name} {done}.")
                return redirect("intake:authors", pk=dossier.pk)
    context = {"dossier": dossier, "asked": asked, "refused": refused}
    return render(request, "intake/author/answer_join.html", context, status=status)


@require_POST
def remove_author(request: HttpRequest, pk: object, who: object) -> HttpResponse:
    """End somebody's part in the dossier, or leave it."""
    dossier, user = _dossier(request, pk), person(request)
    one = get_object_or_404(CoAuthor.objects.select_related("user"), pk=who, dossier=dossier)
    try:
        coauthors.remove(one, by=user)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        return _render_authors(request, dossier, refusal)
    if one.user_id == user.pk:
        messages.success(request, f"Vous ne modifiez plus la demande {dossier.reference}.")
        return redirect("intake:list")
    messages.success(request, f"{one.name} ne peut plus modifier la demande.")
    return redirect("intake:authors", pk=dossier.pk)
