"""The decisions of the desk: written at leisure, previewed as they will be sent, then made."""

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateformat import format as as_text
from django.views.decorators.http import require_http_methods, require_POST

from onboarding.intake import checklist, checks, contents, decision_preview, granting, moves, reading, rules, workflow
from onboarding.intake.checks import Problem
from onboarding.intake.decision_preview import Changed, Letter
from onboarding.intake.decisions import ApproveForm, ChangesForm, RejectForm
from onboarding.intake.desk import landing, may, render_detail
from onboarding.intake.desk_access import dossier_of, staff_of
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import version_of, wish
from onboarding.intake.views import already_done
from suite.accounts import stepup
from suite.accounts.models import User

DECISIONS = {"approve": "desk:approve", "reject": "desk:reject", "request_changes": "desk:request_changes"}
SEND = {
    "approve": "Accepter la demande",
    "reject": "Refuser la demande",
    "request_changes": "Renvoyer pour correction",
}
# Buttons and tokens: not what somebody wrote.
APART = {"csrfmiddlewaretoken", "version", "etape", "retour"}


class Decision(NamedTuple):
    """One decision under way: its event, its form, its verb on the cleaned data, and what to say once it is made."""

    event: str
    form: Any  # dsfr ships no types
    verb: Callable[[dict[str, Any]], Dossier]
    done: str
    extra: dict[str, Any]


@require_http_methods(["GET", "HEAD", "POST"])
def approve(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Accept the dossier; what the commune asked for starts being built."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    if answer := may(request, dossier, "approve"):
        return answer
    if dossier.status == Dossier.Status.SECOND_APPROVAL and request.method != "POST":
        return redirect("desk:confirm", pk=dossier.pk)
    if answer := stepup.missing(request):
        return answer
    choices = [
        (choice.rank, choice.fqdn)
        for choice in dossier.names.all()
        if choice.fqdn and (choice.rank == 0 or dossier.accepts_alternatives)
    ]
    sensitive = rules.sensitive(dossier, 0)
    form = ApproveForm(
        request.POST if request.method == "POST" else None,
        initial={"rank": 0, **_drafted(user, dossier, "approve")},
        choices=choices,
        family=dossier.family,
        unproved=checks.needs_a_check(dossier),
        sensitive=False,  # two people have pages of their own: `second_views`
    )

    def verb(data: dict[str, Any]) -> Dossier:
        granting.refresh(dossier)
        return workflow.approve(
            dossier,
            by=user,
            version=version_of(request),
            rank=data["rank"],
            check=data.get("check", ""),
            derogation=data.get("derogation", ""),
        )

    doubts = [item for item in checklist.checklist(dossier) if item.blocking]
    extra = {"sensitive": [rules.SENSITIVE[code] for code in sensitive], "domain": wish(dossier), "doubts": doubts}
    done = f"La demande {dossier.reference} est acceptée : la mise en service commence."
    return _decide(request, dossier, Decision("approve", form, verb, done, extra))


@require_http_methods(["GET", "HEAD", "POST"])
def reject(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Refuse the dossier, with reasons."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    if answer := may(request, dossier, "reject") or stepup.missing(request):
        return answer
    form = RejectForm(request.POST if request.method == "POST" else None, initial=_drafted(user, dossier, "reject"))

    def verb(data: dict[str, Any]) -> Dossier:
        return workflow.reject(dossier, data["reasons"], by=user, version=version_of(request), message=data["message"])

    done = f"La demande {dossier.reference} est refusée ; la commune en est informée."
    return _decide(request, dossier, Decision("reject", form, verb, done, {}))


@require_http_methods(["GET", "HEAD", "POST"])
def request_changes(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send the dossier back with what is to be corrected."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    if answer := may(request, dossier, "request_changes"):
        return answer
    form = ChangesForm(
        request.POST if request.method == "POST" else None,
        initial=_drafted(user, dossier, "request_changes"),
        mailboxes=dossier.mailboxes.all(),
    )

    def verb(data: dict[str, Any]) -> Dossier:
        return workflow.request_changes(
            dossier, form.points(), by=user, version=version_of(request), message=data["message"]
        )

    done = f"La demande {dossier.reference} est renvoyée à la commune pour correction."
    return _decide(request, dossier, Decision("request_changes", form, verb, done, {}))


def _decide(request: HttpRequest, dossier: Dossier, decision: Decision) -> HttpResponse:
    """Show the form, then the messages as they will be sent, then make the decision."""
    user, _ = staff_of(request)
    form, problems = decision.form, list[Problem]()
    if request.method == "POST" and form.is_valid():
        try:
            return _act(request, dossier, decision)
        except moves.GuardFailed as refusal:
            problems = refusal.problems
        except moves.NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except (moves.WrongState, moves.Stale) as refusal:
            fresh = dossier_of(request, dossier.pk)
            if already_done(fresh, {decision.event}, user):
                return redirect(landing(user, dossier))
            return render_detail(request, fresh, refusal)
    for problem in problems:
        if problem.field in form.fields:
            form.add_error(problem.field, problem.message)
    loose = [problem.message for problem in problems if problem.field not in form.fields]
    failed = bool(form.errors or loose) if request.method == "POST" else False
    draft = None if failed else decision_preview.draft_of(user, dossier, decision.event)
    context = {
        "dossier": dossier,
        "form": form,
        "loose": loose,
        "version": request.POST.get("version") or dossier.version,
        "titles": contents.TITLES,
        "draft": draft,
        "decision": decision.event,
        **decision.extra,
    }
    return render(request, f"intake/desk_decisions/{decision.event}.html", context, status=422 if failed else 200)


def _act(request: HttpRequest, dossier: Dossier, decision: Decision) -> HttpResponse:
    """Preview, or decide: nothing is decided but what was shown, message for message; else it is shown again."""
    user, _ = staff_of(request)
    data = decision.form.cleaned_data
    if request.POST.get("etape") != "envoi":
        letters = decision_preview.rehearse(dossier, lambda: decision.verb(data))
        return _preview(request, dossier, decision, letters)
    draft = decision_preview.draft_of(user, dossier, decision.event)
    shown = draft.letters if draft and draft.fields == _typed(request) else []
    try:
        decision_preview.send(dossier, lambda: decision.verb(data), shown)
    except Changed as changed:
        return _preview(request, dossier, decision, changed.letters, changed=True)
    decision_preview.forget(user, dossier)
    reading.mark(dossier, user)
    messages.success(request, decision.done)
    return redirect(landing(user, dossier))


def _preview(
    request: HttpRequest, dossier: Dossier, decision: Decision, letters: list[Letter], *, changed: bool = False
) -> HttpResponse:
    user, _ = staff_of(request)
    typed = _typed(request)
    decision_preview.keep(user, dossier, decision.event, typed, letters)
    context = {
        "dossier": dossier,
        "letters": letters,
        "changed": changed,
        "version": version_of(request),
        "typed": [(name, value) for name, values in typed.items() for value in values],
        "action": request.path,
        "send": SEND[decision.event],
    }
    return render(request, "intake/desk_decisions/preview.html", context, status=409 if changed else 200)


# --- Drafts -----------------------------------------------------------------------------------------------------------


def _typed(request: HttpRequest) -> dict[str, list[str]]:
    """Return what the form holds, in a form that a draft keeps."""
    return {
        name: [str(value) for value in values]
        for name, values in request.POST.lists()
        if name not in APART and any(values)
    }


def _drafted(user: User, dossier: Dossier, decision: str) -> dict[str, Any]:
    """Return the draft as initial values; none while what was typed is at hand."""
    draft = decision_preview.draft_of(user, dossier, decision)
    if draft is None:
        return {}
    many = ("reasons", "fields-", "rows-")
    return {name: values if name.startswith(many) else values[0] for name, values in draft.fields.items() if values}


@require_POST
def save_draft(request: HttpRequest, pk: UUID, decision: str) -> HttpResponse:
    """Keep what is being written; the page asks for it as one types, or with a button."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    if decision not in DECISIONS:
        raise Http404
    may(request, dossier, decision)
    kept = decision_preview.keep(user, dossier, decision, _typed(request))
    now = as_text(timezone.localtime(), "H:i")
    said = f"Brouillon enregistré à {now}." if kept else "Ce texte est trop long pour être gardé en brouillon."
    if getattr(request, "htmx", False):
        return HttpResponse(said, content_type="text/plain; charset=utf-8")
    (messages.success if kept else messages.error)(request, said)
    return redirect(DECISIONS[decision], pk=dossier.pk)
