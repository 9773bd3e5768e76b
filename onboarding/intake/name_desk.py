"""The operators' acts about names: look again, ask the commune about an alternative; and what their page shows."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from onboarding.intake import alternatives, availability, granting, lookups, moves, proofs, rules
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete
from suite.accounts.addresses import visitor
from suite.accounts.models import User
from suite.accounts.permissions import DECIDE, INSTRUCT, SEE_DESK, check, site_roles


def shown(dossier: Dossier) -> dict[str, Any]:
    """Return what the operators' page shows of the names: each with its check and what may be done with it.

    Four queries at most for a dossier read by `desk_access.dossier_of`.
    """
    choices = [choice for choice in dossier.names.all() if choice.fqdn and dossier.family]
    if not choices or dossier.status not in Dossier.OPEN:
        return {}
    found = availability.known(dossier)
    open_to = len(choices) > 1 and not dossier.accepts_alternatives
    questions = dossier.name_questions.all() if open_to else ()
    asked = {question.fqdn: question for question in questions}
    wish_is_gone = any(found[choice.fqdn].code == "taken" for choice in choices if choice.rank == 0)
    rows = []
    for choice in choices:
        question = asked.get(choice.fqdn)
        yes = choice.rank == 0 or dossier.accepts_alternatives or (question is not None and question.accepted is True)
        rows.append({"choice": choice, "known": found[choice.fqdn], "accepted": yes, "question": question})
    return {
        "rows": rows,
        "namesakes": [] if dossier.family == Dossier.Family.EXISTING else availability.namesakes(dossier.organization),
        "proof": proofs.of(dossier) if dossier.family == Dossier.Family.EXISTING else None,
        "lost": [lost.fqdn for lost in dossier.lost_names.all()] if wish_is_gone else [],
        "outside": dossier.family != Dossier.Family.SHARED,
    }


def _dossier(request: HttpRequest, pk: object) -> tuple[Dossier, User]:
    user = request.user
    check(SEE_DESK, site_roles(user))
    if not isinstance(user, User):
        raise PermissionDenied(SEE_DESK.refusal)
    return get_object_or_404(complete().filter(pk__in=Dossier.objects.followed_by(user).values("pk")), pk=pk), user


@require_POST
def check_names(request: HttpRequest, pk: object) -> HttpResponse:
    """Have workers look again at the names outside."""
    dossier, user = _dossier(request, pk)
    check(INSTRUCT, rules.roles(dossier, user))
    if not lookups.may_check(user, visitor(request)):
        messages.warning(request, "Trop de vérifications en peu de temps : recommencez dans dix minutes.")
    elif granting.refresh(dossier):
        messages.success(request, "Vérification lancée : rechargez la page dans quelques secondes.")
    else:
        messages.info(request, "Tout a été vérifié il y a moins de dix minutes.")
    return redirect("desk:detail", pk=dossier.pk)


@require_POST
def ask_name(request: HttpRequest, pk: object) -> HttpResponse:
    """Ask the commune whether one of its alternatives suits it."""
    dossier, user = _dossier(request, pk)
    check(DECIDE, rules.roles(dossier, user))
    rank = request.POST.get("rank", "")
    if rank not in {"1", "2", "3"}:
        messages.warning(request, "Dites lequel des noms de la demande proposer à la commune.")
        return redirect("desk:detail", pk=dossier.pk)
    try:
        question = alternatives.ask(dossier, int(rank), by=user)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, f"La commune est invitée à dire si {question.fqdn} lui convient.")
    return redirect("desk:detail", pk=dossier.pk)
