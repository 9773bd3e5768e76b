"""One dossier at the operators' desk: the request, what is new, the evidence, and who instructs it."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.intake import absences, acting, checklist, contents, moves, name_desk, reading, rules, workflow
from onboarding.intake.checks import Problem
from onboarding.intake.decisions import AssignForm
from onboarding.intake.desk_access import dossier_of, staff_of
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import deployment_of, points, summary, version_of, wish
from onboarding.intake.views import already_done
from suite.accounts.models import OperatorRole, User
from suite.accounts.permissions import DECIDE, INSTRUCT, check

WORDS = ("message", "text", "check", "derogation", "why")


@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the request, what is new in it, the evidence and the legal actions."""
    return render_detail(request, dossier_of(request, pk))


def render_detail(request: HttpRequest, dossier: Dossier, refusal: moves.Refusal | None = None) -> HttpResponse:
    """Show the dossier, with what was refused and what had been typed."""
    user, _ = staff_of(request)
    allowed = moves.allowed(dossier, user)
    items = checklist.checklist(dossier) if dossier.status in Dossier.OPEN else []
    held = rules.capacities(dossier, user)
    typed = [text for name, text in request.POST.items() if name.partition("-")[0] in WORDS and str(text).strip()]
    context = {
        "dossier": dossier,
        "allowed": allowed,
        "insider": rules.is_insider(dossier, user),
        "summary": summary(dossier),
        "domain": wish(dossier),
        "open": dossier.status in Dossier.OPEN,
        "checklist": items,
        "stale": not items or not all(item.fresh for item in items),
        "doubts": sum(item.blocking for item in items),
        "may_override": bool(held & {rules.Capacity.ASSIGNEE, rules.Capacity.LEAD}),
        "frozen": dossier.status in Dossier.OPEN and acting.is_frozen(dossier),
        "deployment": deployment_of(dossier),
        "news": reading.news(dossier, user),
        "remarks": points(contents.still_open(dossier), dossier),
        "names": name_desk.shown(dossier),
        "refusal": refusal,
        # What a person wrote for a decision that came too late is not lost.
        "typed": typed if refusal else [],
    }
    return render(request, "intake/desk/detail.html", context, status=refusal.status if refusal else 200)


# --- Evidence and reading ---------------------------------------------------------------------------------------------


@require_POST
def mark_read(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Note that whoever asks has read what the page showed; the page asks for it by itself where scripts run."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    typed = request.POST.get("seq", "")
    reading.mark(dossier, user, int(typed) if typed.isdecimal() and len(typed) < 10 else 0)  # noqa: PLR2004 - a column's size
    if getattr(request, "htmx", False):
        return HttpResponse(status=204)
    return redirect("desk:detail", pk=dossier.pk)


@require_POST
def refresh_checks(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Judge again from our own tables; what needs the outside is the workers' affair."""
    dossier = dossier_of(request, pk)
    if dossier.status in Dossier.OPEN:
        checklist.refresh(dossier)
    if getattr(request, "htmx", False):
        response = HttpResponse(status=204)
        response["HX-Refresh"] = "true"
        return response
    return redirect(f"{reverse('desk:detail', args=[dossier.pk])}#verifications")


@require_POST
def override(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Set a doubt of the checklist aside, with a reason."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    check(INSTRUCT, rules.roles(dossier, user))
    try:
        item = checklist.override(
            dossier, request.POST.get("code", ""), request.POST.get("why", ""), by=user, version=version_of(request)
        )
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        return render_detail(request, dossier_of(request, pk), refusal)
    reading.mark(dossier, user)
    messages.success(request, f"« {checklist.CHECKS[item.code].label} » : le doute est écarté, avec votre motif.")
    return redirect(f"{reverse('desk:detail', args=[dossier.pk])}#verifications")


# --- Who instructs ----------------------------------------------------------------------------------------------------


def landing(user: User, dossier: Dossier) -> str:
    """Return where an act leads: the dossier, or the queue when it is no longer in sight."""
    if Dossier.objects.followed_by(user).filter(pk=dossier.pk).exists():
        return reverse("desk:detail", args=[dossier.pk])
    return reverse("desk:queue")


def _answer(request: HttpRequest, dossier: Dossier, event: str, verb: Callable[[], Dossier], done: str) -> HttpResponse:
    """Make a move and answer: the dossier's page, or what happened meanwhile. GuardFailed is the caller's."""
    user, _ = staff_of(request)
    try:
        verb()
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except (moves.WrongState, moves.Stale) as refusal:
        fresh = dossier_of(request, dossier.pk)
        if not already_done(fresh, {event}, user):
            return render_detail(request, fresh, refusal)
    else:
        reading.mark(dossier, user)
        messages.success(request, done)
    return redirect(landing(user, dossier))


@require_POST
def take(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Become the person who instructs the dossier."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    return _answer(
        request,
        dossier,
        "take",
        lambda: workflow.take(dossier, by=user, version=version_of(request)),
        f"Vous instruisez la demande {dossier.reference}.",
    )


@require_POST
def release(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Put the dossier back in the queue."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    return _answer(
        request,
        dossier,
        "release",
        lambda: workflow.release(dossier, by=user, version=version_of(request)),
        f"La demande {dossier.reference} est remise en attente.",
    )


def colleagues(dossier: Dossier) -> QuerySet[User]:
    """Return who else may be handed the dossier."""
    return (
        User.objects.filter(
            is_active=True,
            operator_roles__operator=dossier.operator,
            operator_roles__active=True,
            operator_roles__role__in=[OperatorRole.Role.INSTRUCTOR, OperatorRole.Role.LEAD],
        )
        .exclude(assigned_dossiers=dossier)
        .distinct()
        .order_by("usual_name", "given_name")
    )


@require_http_methods(["GET", "HEAD", "POST"])
def assign(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Hand the dossier to a colleague."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    if answer := may(request, dossier, "assign"):
        return answer
    people = list(colleagues(dossier))
    away = absences.away({person.pk for person in people})
    form = AssignForm(request.POST if request.method == "POST" else None, people=people, away=away)
    problems: list[Problem] = []
    if request.POST.get("assignee") == str(dossier.assignee_id) and already_done(dossier, {"assign"}, user):
        return redirect("desk:detail", pk=dossier.pk)  # a doubled click: the colleague is no choice any more
    if request.method == "POST" and form.is_valid():
        chosen = next(person for person in people if str(person.pk) == form.cleaned_data["assignee"])
        try:
            return _answer(
                request,
                dossier,
                "assign",
                lambda: workflow.assign(dossier, to=chosen, by=user, version=version_of(request)),
                f"La demande {dossier.reference} est confiée à {chosen.get_full_name()}.",
            )
        except moves.GuardFailed as refusal:
            problems = refusal.problems
    for problem in problems:
        if problem.field in form.fields:
            form.add_error(problem.field, problem.message)
    loose = [problem.message for problem in problems if problem.field not in form.fields]
    failed = bool(form.errors or loose) if request.method == "POST" else False
    context = {
        "dossier": dossier,
        "form": form,
        "loose": loose,
        "version": request.POST.get("version") or dossier.version,
    }
    return render(request, "intake/desk/assign.html", context, status=422 if failed else 200)


def may(request: HttpRequest, dossier: Dossier, event: str) -> HttpResponse | None:
    """Let in who may decide; send back who may not decide now; refuse who never may."""
    user, _ = staff_of(request)
    if event in moves.allowed(dossier, user):
        return None
    if not rules.is_insider(dossier, user):
        check(DECIDE if event in {"approve", "reject"} else INSTRUCT, rules.roles(dossier, user))
    if request.method == "POST":  # the verb says precisely what is wrong
        return None
    messages.info(request, "Cette action n’est pas possible dans l’état actuel de la demande, ou pas par vous.")
    return redirect("desk:detail", pk=dossier.pk)
