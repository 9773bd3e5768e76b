"""The page between a decision and its making: the messages as they will be sent, to the byte."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from onboarding.intake import decision_preview
from onboarding.intake.decision_preview import Changed, Letter
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import version_of
from suite.accounts.models import User

# Buttons and tokens: not what somebody wrote.
APART = {"csrfmiddlewaretoken", "version", "etape", "retour"}


class Sending(NamedTuple):
    """A decision: the name of its draft, the words of its button, and where its form is."""

    name: str
    button: str
    form: str


def typed(request: HttpRequest) -> dict[str, list[str]]:
    """Return what the form holds, in a form that a draft keeps."""
    return {
        name: [str(value) for value in values]
        for name, values in request.POST.lists()
        if name not in APART and any(values)
    }


def drafted(user: User, dossier: Dossier, decision: str) -> dict[str, Any]:
    """Return the draft as initial values; none while what was typed is at hand."""
    draft = decision_preview.draft_of(user, dossier, decision)
    if draft is None:
        return {}
    many = ("reasons", "fields-", "rows-")
    return {name: values if name.startswith(many) else values[0] for name, values in draft.fields.items() if values}


def made(
    request: HttpRequest, user: User, dossier: Dossier, sending: Sending, verb: Callable[[], object]
) -> HttpResponse | None:
    """Show the messages, or make the decision and return None: nothing is decided but what was shown.

    Messages that changed meanwhile are shown again. Raises what the verb raises.
    """
    if request.POST.get("etape") != "envoi":
        return _preview(request, user, dossier, sending, decision_preview.rehearse(dossier, verb))
    draft = decision_preview.draft_of(user, dossier, sending.name)
    shown = draft.letters if draft and draft.fields == typed(request) else None
    try:
        decision_preview.send(dossier, verb, shown)
    except Changed as changed:
        return _preview(request, user, dossier, sending, changed.letters, changed=True)
    decision_preview.forget(user, dossier)
    return None


def _preview(  # noqa: PLR0913 - a page has these parts
    request: HttpRequest,
    user: User,
    dossier: Dossier,
    sending: Sending,
    letters: list[Letter],
    *,
    changed: bool = False,
) -> HttpResponse:
    fields = typed(request)
    decision_preview.keep(user, dossier, sending.name, fields, letters)
    context = {
        "dossier": dossier,
        "letters": letters,
        "changed": changed,
        "version": version_of(request),
        "typed": [(name, value) for name, values in fields.items() for value in values],
        "action": request.path,
        "form_url": sending.form,
        "send": sending.button,
    }
    return render(request, "intake/desk_decisions/preview.html", context, status=409 if changed else 200)
