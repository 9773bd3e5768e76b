"""The pages of the acts that take two people, and of reopening."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from onboarding.intake import checks, moves, rules, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete, version_of
from onboarding.intake.previewing import Sending, drafted, made
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.second_forms import ConfirmForm, ProposeForm, ReasonForm
from onboarding.intake.trade import DELAYS
from onboarding.intake.views import already_done
from suite.accounts import stepup
from suite.accounts.models import User
from suite.accounts.permissions import DECIDE, SECOND, SEE_DESK, Act, check, site_roles


class Deed(NamedTuple):
    """A move: its event, what to say of it once made, and for one that writes to the commune its draft and button."""

    event: str
    done: str
    draft: str = ""
    button: str = ""


PROPOSE = Deed("propose_approval", "La demande {} attend une seconde validation ; les responsables en sont avertis.")
CONFIRM = Deed(
    "approve",
    "La demande {} est acceptée : la mise en service commence.",
    "confirm",
    "Confirmer l’acceptation",
)
REOPEN = Deed("reopen", "La demande {} est rouverte, et vous l’instruisez.", "reopen", "Rouvrir la demande")
PROPOSE_REVOCATION = Deed(
    "propose_revocation", "L’annulation est proposée ; une autre personne responsable doit la confirmer."
)
REVOKE = Deed(
    "revoke", "L’acceptation de la demande {} est annulée. Rien n’est supprimé.", "revoke", "Annuler l’acceptation"
)
AnyForm = ProposeForm | ConfirmForm | ReasonForm


@require_http_methods(["GET", "HEAD", "POST"])
def propose(request: HttpRequest, pk: object) -> HttpResponse:
    """Ask a second person to accept a sensitive dossier."""
    dossier, user = _dossier(request, pk)
    if answer := _may(request, dossier, "propose_approval", DECIDE):
        return answer
    choices = [
        (choice.rank, choice.fqdn)
        for choice in dossier.names.all()
        if choice.fqdn and (choice.rank == 0 or dossier.accepts_alternatives)
    ]
    form = ProposeForm(
        request.POST if request.method == "POST" else None,
        initial={"rank": 0},
        choices=choices,
        family=dossier.family,
        unproved=checks.needs_a_check(dossier),
    )

    def verb() -> Dossier:
        data = form.cleaned_data
        return workflow.propose_approval(
            dossier,
            by=user,
            version=version_of(request),
            rank=data["rank"],
            check=data.get("check", ""),
            reason=data["reason"],
        )

    problems: list[checks.Problem] = []
    if request.method == "POST" and form.is_valid():
        answer, problems = _act(request, dossier, PROPOSE, verb)
        if answer:
            return answer
    sensitive = [rules.SENSITIVE[code] for code in rules.sensitive(dossier, 0)]
    context = _context(request, dossier, form, problems, sensitive=sensitive)
    return render(request, "intake/second/propose.html", context, status=_status(context))


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, pk: object) -> HttpResponse:
    """Accept what a colleague proposed."""
    dossier, user = _dossier(request, pk)
    if answer := _may(request, dossier, "approve", SECOND, status=Dossier.Status.SECOND_APPROVAL):
        return answer
    form = ConfirmForm(
        request.POST if request.method == "POST" else None, initial=drafted(user, dossier, CONFIRM.draft)
    )

    def verb() -> Dossier:
        words = form.cleaned_data["words"]
        if dossier.status != Dossier.Status.SECOND_APPROVAL:  # `approve` would accept a plain one alone
            raise moves.WrongState(dossier)
        return workflow.approve(dossier, by=user, version=version_of(request), derogation=words)

    problems: list[checks.Problem] = []
    if request.method == "POST" and form.is_valid():
        answer, problems = _act(request, dossier, CONFIRM, verb)
        if answer:
            return answer
    proposal = _proposal(dossier)
    context = _context(
        request,
        dossier,
        form,
        problems,
        proposal=proposal,
        domain=next((name.fqdn for name in dossier.names.all() if proposal and name.rank == proposal.rank), ""),
        sensitive=[rules.SENSITIVE[code] for code in rules.sensitive(dossier, proposal.rank)] if proposal else [],
    )
    return render(request, "intake/second/confirm.html", context, status=_status(context))


@require_http_methods(["GET", "HEAD", "POST"])
def reopen(request: HttpRequest, pk: object) -> HttpResponse:
    """Take a refused or expired dossier back into review."""
    dossier, user = _dossier(request, pk)
    if answer := _may(request, dossier, "reopen", SECOND):
        return answer
    form = ReasonForm(request.POST if request.method == "POST" else None, initial=drafted(user, dossier, REOPEN.draft))

    def verb() -> Dossier:
        return workflow.reopen(dossier, by=user, version=version_of(request), reason=form.cleaned_data["reason"])

    problems: list[checks.Problem] = []
    if request.method == "POST" and form.is_valid():
        answer, problems = _act(request, dossier, REOPEN, verb)
        if answer:
            return answer
    context = _context(request, dossier, form, problems)
    return render(request, "intake/second/reopen.html", context, status=_status(context))


@require_http_methods(["GET", "HEAD", "POST"])
def propose_revocation(request: HttpRequest, pk: object) -> HttpResponse:
    """Ask another lead to end an approval."""
    dossier, user = _dossier(request, pk)
    if answer := _may(request, dossier, "propose_revocation", SECOND):
        return answer
    form = ReasonForm(request.POST if request.method == "POST" else None)

    def verb() -> Dossier:
        reason = form.cleaned_data["reason"]
        return workflow.propose_revocation(dossier, by=user, version=version_of(request), reason=reason)

    problems: list[checks.Problem] = []
    if request.method == "POST" and form.is_valid():
        answer, problems = _act(request, dossier, PROPOSE_REVOCATION, verb)
        if answer:
            return answer
    context = _context(request, dossier, form, problems)
    return render(request, "intake/second/propose_revocation.html", context, status=_status(context))


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, pk: object) -> HttpResponse:
    """End an approval that another lead proposes to end."""
    dossier, user = _dossier(request, pk)
    if answer := _may(request, dossier, "revoke", SECOND):
        return answer
    problems: list[checks.Problem] = []
    if request.method == "POST":

        def verb() -> Dossier:
            return workflow.revoke(dossier, by=user, version=version_of(request))

        answer, problems = _act(request, dossier, REVOKE, verb)
        if answer:
            return answer
    context = _context(request, dossier, None, problems, proposal=_proposal(dossier))
    return render(request, "intake/second/revoke.html", context, status=_status(context))


# --- What they share --------------------------------------------------------------------------------------------------


def _dossier(request: HttpRequest, pk: object) -> tuple[Dossier, User]:
    user = request.user
    check(SEE_DESK, site_roles(user))
    if not isinstance(user, User):
        raise PermissionDenied(SEE_DESK.refusal)
    seen = Dossier.objects.followed_by(user).values("pk")
    return get_object_or_404(complete().filter(pk__in=seen), pk=pk), user


def _may(request: HttpRequest, dossier: Dossier, event: str, act: Act, *, status: str = "") -> HttpResponse | None:
    """Let in who may act, its second factor given; send back who may not act now; refuse who never may."""
    assert isinstance(request.user, User)  # noqa: S101 - tells the type
    possible = event in moves.allowed(dossier, request.user) and (not status or dossier.status == status)
    if not possible:
        if not rules.is_insider(dossier, request.user):
            check(act, rules.roles(dossier, request.user))
        if request.method != "POST":  # to a POST the verb says precisely what is wrong
            messages.info(request, "Cette action n’est pas possible dans l’état actuel de la demande, ou pas par vous.")
            return redirect("desk:detail", pk=dossier.pk)
    return stepup.missing(request)


def _act(
    request: HttpRequest, dossier: Dossier, deed: Deed, verb: Callable[[], Dossier]
) -> tuple[HttpResponse | None, list[checks.Problem]]:
    """Make a move and return the answer, or the problems to show in the form again.

    A move that writes to the commune shows first what it will write.
    A doubled click is answered like the first one; a dossier that moved on is shown as it stands.
    """
    assert isinstance(request.user, User)  # noqa: S101 - tells the type
    try:
        if not deed.button:
            verb()
        elif shown := made(request, request.user, dossier, Sending(deed.draft, deed.button, request.path), verb):
            return shown, []
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.GuardFailed as refusal:
        return None, refusal.problems
    except (moves.WrongState, moves.Stale) as refusal:
        if not already_done(refusal.dossier, {deed.event}, request.user):
            fresh = complete().get(pk=dossier.pk)
            typed = [text for name in ("reason", "words", "check") if (text := request.POST.get(name, "").strip())]
            context = {"dossier": fresh, "refusal": refusal, "typed": typed, "staff": True}
            return render(request, "intake/second/moved.html", context, status=refusal.status), []
    else:
        messages.success(request, deed.done.format(dossier.reference))
    if Dossier.objects.followed_by(request.user).filter(pk=dossier.pk).exists():
        return redirect("desk:detail", pk=dossier.pk), []
    return redirect("desk:queue"), []


def _proposal(dossier: Dossier) -> Proposal | None:
    return dossier.proposals.filter(closed_at__isnull=True).select_related("proposer").first()


def _context(
    request: HttpRequest,
    dossier: Dossier,
    form: AnyForm | None,
    problems: list[checks.Problem],
    **extra: Any,  # noqa: ANN401 - a context
) -> dict[str, Any]:
    fields = form.fields if form else {}
    for problem in problems:
        if form and problem.field in fields:
            form.add_error(problem.field, problem.message)
    loose = [problem.message for problem in problems if problem.field not in fields]
    version, lapse_days = request.POST.get("version") or dossier.version, DELAYS.current().proposal
    return {"dossier": dossier, "form": form, "loose": loose, "version": version, "lapse_days": lapse_days, **extra}


def _status(context: dict[str, Any]) -> int:
    form = context["form"]
    return 422 if context["loose"] or (form and form.is_bound and form.errors) else 200
