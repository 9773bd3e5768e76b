"""The requester's pages: ask, step by step, and follow."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.agreements.texts import bundle
from onboarding.intake import (
    acting,
    checks,
    coauthors,
    conflicts,
    contents,
    following,
    moves,
    name_views,
    rules,
    steps,
    terms,
    typed_forms,
    workflow,
)
from onboarding.intake.delays import usual_delay
from onboarding.intake.forms import AnyStepForm, MailboxesForm, step_form
from onboarding.intake.history import history
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete, deployment_of, points, summary, told, version_in, version_of, wish
from onboarding.intake.trade import ALLOCATION
from suite.accounts.models import User
from suite.accounts.permissions import DRAFT, EDIT_DOSSIER, check, organization_roles
from suite.accounts.rights import organizations_of
from suite.directory.lookup import by_code, compact, verdict_of
from suite.directory.models import Organization
from suite.journal.models import Event


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
    mine = list(
        Dossier.objects.requested_by(user)
        .filter(organization=organization, status__in=[Dossier.Status.DRAFT, *Dossier.OPEN])
        .select_related("author")
        .order_by("-changed_at")[:20]
    )
    drafts = [dossier for dossier in mine if dossier.status == Dossier.Status.DRAFT]
    visible = next((dossier for dossier in mine if dossier not in drafts), None)
    hidden = coauthors.open_dossier(organization) if visible is None else None
    context = {
        "organization": organization,
        "organizations": own,
        "verdict": verdict_of(organization),
        "standing": checks.standing_problems(organization),
        "attached": organization in own,
        "open_dossier": visible,
        "draft": next((dossier for dossier in drafts if dossier.author_id == user.pk), None),
        "shared_drafts": [dossier for dossier in drafts if dossier.author_id != user.pk],
        "hidden_dossier": hidden,
        "joinable": coauthors.joinable(hidden),
        "delay": usual_delay(rules.route(organization), ""),
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
    check(EDIT_DOSSIER, rules.roles(dossier, _user(request)))
    if request.method == "POST":
        return _post_step(request, dossier, step)
    stored, remarks = contents.read(dossier, step), list(contents.open_remarks(dossier))
    if kept := typed_forms.find(request):
        return _resume(request, dossier, step, kept)
    if dossier.status not in moves.SAVE.sources:
        messages.info(request, f"La demande est à l’état « {dossier.get_status_display()} » : elle ne se modifie plus.")
        return redirect("intake:detail", pk=dossier.pk)
    values = steps.first_row(dossier, stored)
    if "corriger" in request.GET:
        form = step_form(step, values, steps.as_data(step, values), remarks)
        form.values(stored)
        form.show(checks.step_problems(dossier, step))
    else:
        form = step_form(step, values, None, remarks)
    return _render_step(request, dossier, step, form)


def _resume(request: HttpRequest, dossier: Dossier, step: int, kept: typed_forms.Kept) -> HttpResponse:
    """Show the step with what was typed before the session ended, at the version it was typed from."""
    stored, remarks = contents.read(dossier, step), list(contents.open_remarks(dossier))
    editable = dossier.status in moves.SAVE.sources
    data = steps.with_closed(kept.data, step, stored, dossier, remarks) if editable else kept.data
    form = step_form(step, stored, data, remarks)
    values = steps.acted(form.values(stored), kept.data.get("action", "next"))
    if not editable:
        merged = conflicts.merge(None, stored, contents.prepare(values), None)
        refusal = conflicts.Conflict(dossier, merged, str(moves.WrongState(dossier)))
        return _render_step(request, dossier, step, form, refusal=refusal)
    if isinstance(form, MailboxesForm):  # the pressed button may have added or removed a row
        form = step_form(step, values, steps.as_data(step, values), remarks)
        form.values(stored)
    return _render_step(request, dossier, step, form, resumed=True, version=version_in(kept.data))


def _post_step(request: HttpRequest, dossier: Dossier, step: int) -> HttpResponse:
    user, version, action = _user(request), version_of(request), request.POST.get("action", "next")
    stored = contents.read(dossier, step)
    remarks = list(contents.open_remarks(dossier))
    editable = dossier.status in moves.SAVE.sources
    data = steps.with_closed(request.POST, step, stored, dossier, remarks) if editable else request.POST
    form = step_form(step, stored, data, remarks)
    values = steps.acted(form.values(stored), action)
    if keys := steps.chosen(request.POST):
        values = conflicts.resolve(values, conflicts.base_of(dossier, step, version, stored) or stored, keys)
    try:
        saved, taken = conflicts.save(dossier, step, values, by=user, version=version)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.GuardFailed as refusal:
        # The town hall objected: nothing is saved, and what was typed stays in the form.
        return _render_step(request, dossier, step, form, status=422, problems=refusal.problems, saved=False)
    except moves.Refusal as refusal:
        current = _dossier(request, dossier.pk)
        if action == "submit" and already_done(current, {"submit", "resubmit"}, user):
            return redirect("intake:detail", pk=dossier.pk)
        return _render_step(request, current, step, form, refusal=refusal)
    typed_forms.forget(request)
    if taken:
        messages.info(request, f"Quelqu’un d’autre a modifié la demande entre-temps, et c’est gardé : {told(taken)}.")
    return _saved(request, complete().get(pk=saved.pk), step, form, stale=dossier.version != version)


def _saved(request: HttpRequest, saved: Dossier, step: int, form: AnyStepForm, *, stale: bool) -> HttpResponse:
    """Answer to a step that is saved: what could not be read in it, what is missing, or where the button leads."""
    action = request.POST.get("action", "next")
    if (action == "check" or action.startswith(("use-", "also-"))) and not name_views.ask(request, saved):
        return render(request, "429.html", {"back": reverse("intake:step", args=[saved.pk, step])}, status=429)
    if form.errors and not action.startswith("remove-"):
        return _render_step(request, saved, step, form, status=422, problems=form.unread(), unread=True)
    if action == "submit" and step == steps.LAST:
        # Nobody sends what somebody else changed without having seen it.
        return (
            _render_step(request, saved, step, form, status=409, reread=True) if stale else _send(request, saved, form)
        )
    problems = checks.step_problems(saved, step) if action in {"next", "submit"} else []
    if problems:
        now = contents.read(saved, step)
        form = step_form(step, now, steps.as_data(step, now), list(contents.open_remarks(saved)))
        form.values(now)
        form.show(problems)
        return _render_step(request, saved, step, form, status=422, problems=problems)
    return _after(saved, step, action)


def _after(dossier: Dossier, step: int, action: str) -> HttpResponseRedirect:
    if action == "quit":
        return redirect("intake:detail", pk=dossier.pk)
    target = {"next": step + 1, "previous": step - 1}.get(action, step)
    url = reverse("intake:step", args=[dossier.pk, min(max(target, 1), steps.LAST)])
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
        return _render_step(request, dossier, steps.LAST, form, status=422, problems=refusal.problems)
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        fresh = _dossier(request, dossier.pk)
        if not already_done(fresh, {"submit", "resubmit"}, user):
            return _render_step(request, fresh, steps.LAST, form, refusal=refusal)
    else:
        messages.success(request, "Votre demande est transmise. Un accusé de réception vous est envoyé.")
    return redirect("intake:detail", pk=dossier.pk)


def _render_step(  # noqa: PLR0913 - a page has these parts
    request: HttpRequest,
    dossier: Dossier,
    step: int,
    form: AnyStepForm,
    *,
    status: int = 200,
    problems: list[checks.Problem] | None = None,
    refusal: moves.Refusal | None = None,
    **more: Any,  # noqa: ANN401 - what one of its callers adds to the page
) -> HttpResponse:
    editable = dossier.status in moves.SAVE.sources
    remarks = list(contents.open_remarks(dossier))
    open_groups = contents.unlocked(dossier, remarks) if editable else frozenset()
    form.lock(open_groups, contents.open_rows(remarks))
    context: dict[str, Any] = {
        "dossier": dossier,
        "version": dossier.version,
        "saved": True,
        "step": step,
        "title": contents.TITLES[step],
        "next_title": contents.TITLES.get(step + 1, ""),
        "titles": contents.TITLES,
        "form": form,
        "problems": problems or [],
        "refusal": refusal,
        "editable": editable,
        "open_groups": open_groups,
        "remarks": points(remarks, dossier),
        "zone_of_parts": f"intake/steps/{step}.html",
        **more,
    }
    if isinstance(refusal, conflicts.Conflict):
        asked = request.POST.get("action", "next")
        context |= {
            "merged": refusal.merged,
            "carried": steps.carried(step, refusal.merged.values, form),
            "then": asked if asked in {"next", "previous", "quit"} else steps.KEEP,
            "theirs": conflicts.last_of(dossier, step),
            "choice": steps.CHOICE,
        }
    context |= _extras(dossier, step, _user(request))
    return render(request, "intake/step.html", context, status=refusal.status if refusal else status)


def _extras(dossier: Dossier, step: int, user: User) -> dict[str, Any]:
    """Return what one step shows beside its form."""
    if step == 1:
        return {"verdict": verdict_of(dossier.organization)}
    if step == 2:  # noqa: PLR2004 - the steps are numbered on the page
        return name_views.shown(dossier)
    if step == 3:  # noqa: PLR2004
        return {
            "shared_templates": steps.TEMPLATES,
            "all_templates": steps.ALL_TEMPLATES,
            "domain": wish(dossier),
            "beyond": checks.beyond_allocation(dossier),
            "standard": ALLOCATION.current().mailboxes,
        }
    if step == steps.LAST:
        # Who came in by a membership holds the mandate itself; the author, and whoever it let in, may not.
        unproved = checks.mandate_problems(dossier, user) if rules.writes(dossier, user) else []
        missing = [*unproved, *checks.can_submit(dossier)]
        return {
            "unproved": unproved,
            "assisted": acting.is_assisted(dossier),
            "texts": terms.current(dossier),
            "terms_version": bundle(terms.current(dossier)),
            "missing": [problem for problem in missing if problem.step != steps.LAST],
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
    delayed = {Dossier.Status.SUBMITTED, Dossier.Status.IN_REVIEW, Dossier.Status.SECOND_APPROVAL}
    context = {
        "dossier": dossier,
        "allowed": moves.allowed(dossier, _user(request)),
        "standing": following.standing(dossier),
        "history": history(dossier, for_staff=False),
        "remarks": points(contents.open_remarks(dossier), dossier),
        "rejection": following.refusal_of(dossier),
        "appeal_until": following.appeal_until(dossier),
        "contact": following.contact(dossier),
        "place": following.place_in_queue(dossier),
        "shared": dossier.status in coauthors.SHARED,
        "assisted": acting.is_assisted(dossier),
        "deployment": deployment_of(dossier),
        "summary": summary(dossier),
        "domain": wish(dossier),
        "delay": usual_delay(dossier.operator, dossier.family) if dossier.status in delayed else None,
        "refusal": refusal,
        **name_views.followed(dossier),
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
