"""The requester's pages about names: what is known of them, the proof of an existing domain, a question to answer."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.intake import alternatives, availability, lookups, moves, names, proofs, rules
from onboarding.intake.models import Dossier
from onboarding.intake.name_models import NameQuestion
from onboarding.intake.presentation import complete
from suite.accounts.addresses import visitor
from suite.accounts.models import User
from suite.accounts.permissions import EDIT_DOSSIER, check


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # the site is closed to anonymous people before any view
        raise PermissionDenied
    return request.user


def _dossier(request: HttpRequest, pk: object) -> Dossier:
    return get_object_or_404(complete().filter(pk__in=Dossier.objects.visible_to(request.user).values("pk")), pk=pk)


def ask(request: HttpRequest, dossier: Dossier) -> bool:
    """Have the dossier's names looked up outside; False when this person, or everybody, asks too often."""
    if not lookups.may_check(_user(request), visitor(request)):
        return False
    lookups.ask(lookups.to_look_up(dossier))
    return True


def shown(dossier: Dossier) -> dict[str, Any]:
    """Return what step 2 shows beside its form: what is known of the names, and what we propose."""
    first, others = availability.propose(dossier)
    return {
        "suggestions": first,
        "also": others,
        "shared_by": availability.namesakes(dossier.organization),
        **_known(dossier),
    }


def followed(dossier: Dossier) -> dict[str, Any]:
    """Return what the requester's page says of the names: what was lost, what is asked, what is to prove."""
    undecided = dossier.status in Dossier.OPEN
    proving = dossier.family == Dossier.Family.EXISTING and dossier.status in proofs.UNDECIDED
    current = proofs.of(dossier) if proving else None
    return {
        "lost_names": list(dossier.lost_names.values_list("fqdn", flat=True)) if undecided else [],
        "name_questions": list(dossier.name_questions.filter(accepted__isnull=True)) if undecided else [],
        "to_prove": proving and (current is None or current.state != current.State.PROVED),
    }


def _known(dossier: Dossier) -> dict[str, Any]:
    typed = [choice for choice in dossier.names.all() if choice.fqdn and dossier.family]
    found = availability.known(dossier)
    return {
        "dossier": dossier,
        "choices": [(choice, found[choice.fqdn]) for choice in typed],
        "looking": any(one.looking for one in found.values()),
    }


@require_safe
def status(request: HttpRequest, pk: object) -> HttpResponse:
    """Answer the page that waits for a registry's answer; a browser without scripts reloads the step instead."""
    dossier = _dossier(request, pk)
    if not request.headers.get("HX-Request"):
        return redirect("intake:step", pk=dossier.pk, step=2)
    return render(request, "intake/name/status.html", _known(dossier))


@require_http_methods(["GET", "HEAD", "POST"])
def proof(request: HttpRequest, pk: object) -> HttpResponse:
    """Show the record that proves the domain, and what its servers said; a POST starts the proof, or reads again."""
    dossier = _dossier(request, pk)
    user = _user(request)
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    problems = []
    if request.method == "POST":
        if not lookups.may_check(user, visitor(request)):
            return render(request, "429.html", {"back": reverse("intake:name_proof", args=[dossier.pk])}, status=429)
        try:
            started = proofs.start(dossier, by=user)
        except moves.GuardFailed as refusal:
            problems = refusal.problems
        else:
            if request.POST.get("action") == "check" and not proofs.check_now(started):
                messages.info(request, "Nous venons de regarder : attendez une minute avant de recommencer.")
            return redirect("intake:name_proof", pk=dossier.pk)
    current = proofs.of(dossier)
    context = {
        "dossier": dossier,
        "domain": next((choice.fqdn for choice in dossier.names.all() if choice.rank == 0), ""),
        "proof": current,
        "held_elsewhere": _held_elsewhere(dossier),
        "problems": problems,
        "step": 2,
        "possible": dossier.family == Dossier.Family.EXISTING and dossier.status in proofs.UNDECIDED,
    }
    return render(request, "intake/name/proof.html", context, status=422 if problems else 200)


def _held_elsewhere(dossier: Dossier) -> bool:
    wish = next((choice.fqdn for choice in dossier.names.all() if choice.rank == 0), "")
    return dossier.dns_manager == Dossier.DnsManager.EPCI or names.is_subdomain(wish)


@require_POST
def answer(request: HttpRequest, pk: object) -> HttpResponse:
    """Take or refuse, in the commune's name, the alternative that an operator proposes."""
    dossier = _dossier(request, pk)
    user = _user(request)
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    fqdn, said = request.POST.get("fqdn", "")[:253], request.POST.get("answer")
    question = NameQuestion.objects.filter(dossier=dossier, fqdn=fqdn, accepted__isnull=True).first()
    if question is None or said not in {"yes", "no"}:
        messages.info(request, "Cette question n’attend plus de réponse.")
        return redirect("intake:detail", pk=dossier.pk)
    try:
        alternatives.answer(question, accept=said == "yes", by=user)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        taken = f"Vous acceptez {fqdn}" if said == "yes" else f"Vous refusez {fqdn}"
        messages.success(request, f"{taken} : l’opérateur en est informé.")
    return redirect("intake:detail", pk=dossier.pk)
