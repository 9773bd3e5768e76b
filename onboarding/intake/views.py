"""The requester's pages: ask, step by step, and follow."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.agreements.texts import bundle
from onboarding.intake import acting, availability, checks, contents, moves, rules, terms, workflow
from onboarding.intake.forms import AnyStepForm, MailboxesForm, step_form
from onboarding.intake.history import history, usual_delay
from onboarding.intake.models import Dossier, MailboxRequest
from onboarding.intake.presentation import complete, conflict_of, deployment_of, points, summary, version_of, wish
from suite.accounts.models import User
from suite.accounts.permissions import DRAFT, EDIT_DOSSIER, check, organization_roles
from suite.accounts.rights import organizations_of
from suite.directory.lookup import by_code, compact, verdict_of
from suite.directory.models import Organization
from suite.journal.models import Event

STEPS = 5
# Ready-made shared mailboxes: the button's value, the address, the words.
TEMPLATES = {
    "mairie": "Mairie",
    "accueil": "Accueil",
    "etat-civil": "État civil",
    "urbanisme": "Urbanisme",
    "elus": "Élus",
}


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # the site is closed to anonymous people before any view
        raise PermissionDenied
    return request.user


def _dossier(request: HttpRequest, pk: object) -> Dossier:
    return get_object_or_404(complete().filter(pk__in=Dossier.objects.visible_to(request.user).values("pk")), pk=pk)


def already_done(dossier: Dossier, events: set[str], user: User) -> bool:
    """Whether the last thing that happened is what this person asks again: a doubled click, not a refusal."""
    last = Event.objects.filter(stream=moves.STREAM, subject=dossier.pk).order_by("-seq").first()
    return last is not None and last.kind in events and last.actor == user.pk


# --- My requests ------------------------------------------------------------------------------------------------------


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    """List what the person and its organizations asked, and offer to ask."""
    dossiers = (
        Dossier.objects.requested_by(request.user)
        .select_related("organization", "author", "deployment")
        .prefetch_related("names")
        .order_by("-changed_at")
    )
    organizations = list(organizations_of(_user(request)).select_related("department"))
    return render(request, "intake/list.html", {"dossiers": dossiers[:100], "organizations": organizations})


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Say whether the chosen commune may ask and what to prepare; a POST opens the draft."""
    user = _user(request)
    own = list(organizations_of(user).select_related("department"))
    code = (request.POST.get("commune") or request.GET.get("commune") or "").strip()[:14]
    organization = organization_of(code) if code else own[0] if len(own) == 1 else None
    if code and organization is None:
        raise Http404
    if organization is None:
        return render(
            request, "intake/new.html", {"organizations": own}, status=422 if request.method == "POST" else 200
        )
    problems: list[checks.Problem] = []
    if request.method == "POST":
        check(DRAFT, organization_roles(user, organization))
        try:
            dossier = workflow.create(organization, by=user)
        except moves.GuardFailed as refusal:
            problems = refusal.problems
        else:
            return redirect("intake:step", pk=dossier.pk, step=1)
    mine = Dossier.objects.requested_by(user).filter(organization=organization).order_by("-changed_at")
    visible = mine.open().first()
    context = {
        "organization": organization,
        "organizations": own,
        "verdict": verdict_of(organization),
        "standing": checks.standing_problems(organization),
        "attached": organization in own,
        "open_dossier": visible,
        "draft": mine.filter(status=Dossier.Status.DRAFT, author=user).first(),
        "hidden_dossier": visible is None and Dossier.objects.open().filter(organization=organization).exists(),
        "delay": usual_delay(),
        "problems": problems,
    }
    return render(request, "intake/new.html", context, status=422 if problems else 200)


def organization_of(code: str) -> Organization | None:
    """Return the collectivité of today that a code designates, the one that answers for a commune of the past."""
    return next((match.organization for match in by_code(compact(code)) if match.organization.closed_on is None), None)


# --- The five steps ---------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, pk: object, step: int) -> HttpResponse:
    """Show one step, or save it: right or wrong, what was typed is kept."""
    if step not in contents.TITLES:
        raise Http404
    dossier = _dossier(request, pk)
    user = _user(request)
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    if request.method == "POST":
        return _post_step(request, dossier, step)
    if dossier.status not in moves.SAVE.sources:
        messages.info(request, f"La demande est à l’état « {dossier.get_status_display()} » : elle ne se modifie plus.")
        return redirect("intake:detail", pk=dossier.pk)
    stored = contents.read(dossier, step)
    shown = _first_row(dossier, stored)
    remarks = list(contents.open_remarks(dossier))
    if "corriger" in request.GET:
        form = step_form(step, shown, _as_data(step, shown), remarks)
        form.values(stored)
        form.show(checks.step_problems(dossier, step))
    else:
        form = step_form(step, shown, None, remarks)
    return _render_step(request, dossier, step, form)


def _post_step(request: HttpRequest, dossier: Dossier, step: int) -> HttpResponse:
    user, version, action = _user(request), version_of(request), request.POST.get("action", "next")
    stored = contents.read(dossier, step)
    remarks = list(contents.open_remarks(dossier))
    open_groups = contents.unlocked(dossier, remarks) if dossier.status in moves.SAVE.sources else None
    form = step_form(step, stored, _with_locked(request.POST, step, stored, open_groups), remarks)
    values = _acted(form.values(stored), action)
    try:
        try:
            saved = workflow.save_step(dossier, step, values, by=user, version=version)
        except moves.Stale as stale:
            # The same values saved a moment ago, by a doubled click, are no conflict.
            saved = workflow.save_step(stale.dossier, step, values, by=user, version=version)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except (moves.Stale, moves.WrongState) as refusal:
        if action == "submit" and already_done(refusal.dossier, {"submit", "resubmit"}, user):
            return redirect("intake:detail", pk=dossier.pk)
        current = _dossier(request, dossier.pk)
        conflict = conflict_of(contents.read(current, step), contents.prepare(values))
        return _render_step(request, current, step, form, refusal=refusal, conflict=conflict)
    saved = complete().get(pk=saved.pk)
    if form.errors and not action.startswith("remove-"):
        return _render_step(request, saved, step, form, status=422)
    if action == "submit" and step == STEPS:
        return _send(request, saved, form)
    if action in {"next", "submit"}:
        problems = checks.step_problems(saved, step)
        if problems:
            form = step_form(step, contents.read(saved, step), _as_data(step, contents.read(saved, step)))
            form.values(stored)
            form.show(problems)
            return _render_step(request, saved, step, form, status=422, problems=problems)
    return _after(saved, step, action)


def _after(dossier: Dossier, step: int, action: str) -> HttpResponseRedirect:
    if action == "quit":
        return redirect("intake:detail", pk=dossier.pk)
    target = {"next": step + 1, "previous": step - 1}.get(action, step)
    url = reverse("intake:step", args=[dossier.pk, min(max(target, 1), STEPS)])
    if action.startswith("add-"):
        url += f"#boite-{dossier.mailboxes.count()}"
    return HttpResponseRedirect(url)


def _send(request: HttpRequest, dossier: Dossier, form: AnyStepForm) -> HttpResponse:
    user = _user(request)
    verb = workflow.resubmit if dossier.status == Dossier.Status.NEEDS_CHANGES else workflow.submit
    try:
        verb(dossier, by=user, version=dossier.version)
    except moves.GuardFailed as refusal:
        form.show(refusal.problems)
        return _render_step(request, dossier, STEPS, form, status=422, problems=refusal.problems)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        fresh = _dossier(request, dossier.pk)
        if not already_done(fresh, {"submit", "resubmit"}, user):
            return _render_step(request, fresh, STEPS, form, refusal=refusal)
    else:
        messages.success(request, "Votre demande est transmise. Un accusé de réception vous est envoyé.")
    return redirect("intake:detail", pk=dossier.pk)


def _acted(values: contents.Values, action: str) -> contents.Values:
    """Return the values with what the pressed button adds, removes or chooses."""
    if action.startswith("use-") and "name" in values:
        family = values["family"] or Dossier.Family.SHARED  # what is proposed to somebody who has not chosen yet
        return {**values, "name": action.removeprefix("use-")[:253], "family": family}
    if "mailboxes" not in values:
        return values
    rows = values["mailboxes"]
    blank: contents.Values = dict.fromkeys(contents.ROW_FIELDS, "") | {"id": "", "administrator": False}
    kind, _, template = action.removeprefix("add-").partition("-")
    if action.startswith("remove-"):
        index = action.removeprefix("remove-")
        rows = [row for position, row in enumerate(rows) if str(position) != index]
    elif action.startswith("add-") and kind in MailboxRequest.Kind.values:
        added = blank | {"kind": kind, "local_part": template if template in TEMPLATES else ""}
        rows = [*rows, added | {"function": TEMPLATES.get(template, "")}]
    else:
        typed = [field for field in contents.ROW_FIELDS if field not in {"kind", "administrator"}]
        rows = [row for row in rows if any(row[field] for field in typed)]
    return {**values, "mailboxes": rows[: checks.MOST_MAILBOXES + 1]}


def _first_row(dossier: Dossier, stored: contents.Values) -> contents.Values:
    """Propose the requester's own mailbox to somebody who starts the list; nothing is stored by looking."""
    if stored.get("mailboxes") != []:
        return stored
    first = dict.fromkeys(contents.ROW_FIELDS, "") | {
        "id": "",
        "kind": MailboxRequest.Kind.PERSONAL,
        "given_name": dossier.requester_given_name,
        "family_name": dossier.requester_family_name,
        "recovery_email": dossier.requester_email,
        "administrator": True,
    }
    return {"mailboxes": [first]}


def _as_data(step: int, stored: contents.Values) -> QueryDict:
    """Return stored values as if they had been posted, so that a form may show what is wrong with them."""
    data = QueryDict(mutable=True)
    rows = stored.get("mailboxes")
    flat: dict[str, Any] = stored
    if step == MailboxesForm.step and rows is not None:
        flat = {f"mailboxes-{index}-{field}": value for index, row in enumerate(rows) for field, value in row.items()}
        data["rows"] = str(len(rows))
    for field, value in flat.items():
        if isinstance(value, list):
            data.setlist(field, [str(item) for item in value])
        elif value not in (None, False, "") or field == "mail_in_use":
            data[field] = "" if value is None else str(value)
    return data


def _with_locked(
    posted: QueryDict, step: int, stored: contents.Values, open_groups: frozenset[str] | None
) -> QueryDict:
    """Return what was posted, completed with the closed fields, which a browser does not send."""
    if open_groups is None:
        return posted
    data = posted.copy()
    kept = _as_data(step, stored)
    if step == MailboxesForm.step:
        return data if "mailboxes" in open_groups or "rows" in posted else kept
    for field in stored:
        if contents.GROUP_OF.get(field, "") not in {*open_groups, ""} and field not in posted:
            data.setlist(field, kept.getlist(field))
    return data


def _render_step(  # noqa: PLR0913 - a page has these parts
    request: HttpRequest,
    dossier: Dossier,
    step: int,
    form: AnyStepForm,
    *,
    status: int = 200,
    problems: list[checks.Problem] | None = None,
    refusal: moves.Refusal | None = None,
    conflict: list[tuple[str, str, str]] | None = None,
) -> HttpResponse:
    editable = dossier.status in moves.SAVE.sources
    remarks = list(contents.open_remarks(dossier))
    open_groups = contents.unlocked(dossier, remarks) if editable else frozenset()
    form.lock(open_groups)
    context: dict[str, Any] = {
        "dossier": dossier,
        "step": step,
        "title": contents.TITLES[step],
        "next_title": contents.TITLES.get(step + 1, ""),
        "titles": contents.TITLES,
        "form": form,
        "problems": problems or [],
        "refusal": refusal,
        "conflict": conflict,
        "editable": editable,
        "open_groups": open_groups,
        "remarks": points(remarks),
        "zone_of_parts": f"intake/steps/{step}.html",
    }
    context |= _extras(dossier, step, _user(request))
    return render(request, "intake/step.html", context, status=refusal.status if refusal else status)


def _extras(dossier: Dossier, step: int, user: User) -> dict[str, Any]:
    """Return what one step shows beside its form."""
    if step == 1:
        return {"verdict": verdict_of(dossier.organization)}
    if step == 2:  # noqa: PLR2004 - the steps are numbered on the page
        ladder = availability.labels(dossier.organization)
        family = dossier.family or Dossier.Family.SHARED
        wished = [choice for choice in dossier.names.all() if choice.rank == 0 and choice.fqdn and dossier.family]
        choices = [(choice, availability.check_name(choice.fqdn, dossier.family, dossier)) for choice in wished]
        return {"suggestions": availability.suggestions(dossier.organization, family, ladder), "choices": choices}
    if step == 3:  # noqa: PLR2004
        return {"shared_templates": TEMPLATES, "domain": wish(dossier)}
    if step == STEPS:
        # Whoever is not the author came in by a membership, which is the mandate itself.
        unproved = checks.mandate_problems(dossier, user) if dossier.author_id == user.pk else []
        missing = [*unproved, *checks.can_submit(dossier)]
        return {
            "unproved": unproved,
            "assisted": acting.is_assisted(dossier),
            "texts": terms.current(dossier),
            "terms_version": bundle(terms.current(dossier)),
            "missing": [problem for problem in missing if problem.step != STEPS],
            "summary": summary(dossier),
            "domain": wish(dossier),
        }
    return {}


# --- Follow -----------------------------------------------------------------------------------------------------------


@require_safe
def detail(request: HttpRequest, pk: object) -> HttpResponse:
    """Tell where the dossier is, what happened, and whose turn it is."""
    return render_detail(request, _dossier(request, pk))


def render_detail(request: HttpRequest, dossier: Dossier, refusal: moves.Refusal | None = None) -> HttpResponse:
    """Answer with the page of a dossier, as it stands after a refusal if there is one."""
    context = {
        "dossier": dossier,
        "allowed": moves.allowed(dossier, _user(request)),
        "history": history(dossier, for_staff=False),
        "remarks": points(contents.open_remarks(dossier)),
        "assisted": acting.is_assisted(dossier),
        "deployment": deployment_of(dossier),
        "summary": summary(dossier),
        "domain": wish(dossier),
        "delay": usual_delay() if dossier.status in Dossier.OPEN else None,
        "refusal": refusal,
        "new_url": f"{reverse('intake:new')}?{urlencode({'commune': dossier.organization.code})}",
    }
    return render(request, "intake/detail.html", context, status=refusal.status if refusal else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: HttpRequest, pk: object) -> HttpResponse:
    """Ask to confirm, then take the dossier back."""
    dossier = _dossier(request, pk)
    user = _user(request)
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    if request.method != "POST":
        if "withdraw" not in moves.allowed(dossier, user):
            return redirect("intake:detail", pk=dossier.pk)
        return render(request, "intake/withdraw.html", {"dossier": dossier})
    try:
        workflow.withdraw(dossier, by=user, version=version_of(request))
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        fresh = _dossier(request, dossier.pk)
        if not already_done(fresh, {"withdraw"}, user):
            return render_detail(request, fresh, refusal)
    else:
        messages.success(request, f"La demande {dossier.reference} est retirée.")
    return redirect("intake:detail", pk=dossier.pk)
