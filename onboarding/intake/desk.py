"""The operators' desk: what waits, one dossier with its evidence, and the decisions."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.intake import checks, contents, moves, rules, workflow
from onboarding.intake.checklist import checklist
from onboarding.intake.checks import Problem
from onboarding.intake.decisions import ApproveForm, AssignForm, ChangesForm, RejectForm
from onboarding.intake.history import history
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete, deployment_of, points, summary, version_of, wish
from onboarding.intake.reasons import CHANGES
from onboarding.intake.views import already_done
from suite.accounts import stepup
from suite.accounts.models import OperatorRole, User
from suite.accounts.permissions import DECIDE, INSTRUCT, SEE_DESK, check, site_roles
from suite.accounts.rights import OperatorScope, operator_scope
from suite.directory.folding import fold
from suite.directory.models import Name

PAGE = 25
ASSIGNMENTS = {"moi": "Les miennes", "personne": "Sans instructeur", "autres": "Celles de collègues"}
WORDS = ("message", "text", "check", "derogation")
STATUSES = [choice for choice in Dossier.Status.choices if choice[0] not in {"draft", "expired", "revoked"}]


def _staff(request: HttpRequest) -> tuple[User, OperatorScope]:
    user = request.user
    check(SEE_DESK, site_roles(user))
    scope = operator_scope(user)
    if not isinstance(user, User) or scope is None:
        raise PermissionDenied(SEE_DESK.refusal)
    return user, scope


def _dossier(request: HttpRequest, pk: object) -> Dossier:
    user, _ = _staff(request)
    return get_object_or_404(complete().filter(pk__in=Dossier.objects.followed_by(user).values("pk")), pk=pk)


# --- The queue --------------------------------------------------------------------------------------------------------


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """List the dossiers in scope, oldest first; filters live in the address, and an unknown one is ignored."""
    user, _ = _staff(request)
    scoped = Dossier.objects.followed_by(user)
    kept = _filters(request.GET)
    found = _search(_assigned(scoped, kept["attribution"], user), kept["q"])
    if kept["departement"]:
        found = found.filter(
            Q(organization__department=kept["departement"])
            | Q(organization__departments__contains=[kept["departement"]])
        )
    counts = dict(found.values_list("status").annotate(Count("pk")).order_by())
    statuses = [kept["statut"]] if kept["statut"] else list(Dossier.OPEN)
    found = found.filter(status__in=statuses)
    page = Paginator(
        found.select_related("organization__department", "assignee", "operator")
        .prefetch_related("names")
        .order_by("submitted_at", "pk"),
        PAGE,
    ).get_page(request.GET.get("page"))
    departments = scoped.order_by("organization__department_id").values_list(
        "organization__department_id", "organization__department__name"
    )
    context = {
        "page": page,
        "kept": kept,
        "query": urlencode({key: value for key, value in kept.items() if value}),
        "statuses": [(code, label, counts.get(code, 0)) for code, label in STATUSES],
        "departments": [row for row in departments.distinct() if row[0]],
        "assignments": ASSIGNMENTS,
        "waiting": sum(counts.get(status, 0) for status in Dossier.OPEN),
    }
    return render(request, "intake/desk/queue.html", context)


def _filters(typed: QueryDict) -> dict[str, str]:
    status, assignment = typed.get("statut", ""), typed.get("attribution", "")
    department = typed.get("departement", "").strip().upper()
    return {
        "statut": status if status in dict(STATUSES) else "",
        "attribution": assignment if assignment in ASSIGNMENTS else "",
        "departement": department if department.isalnum() and len(department) <= 3 else "",  # noqa: PLR2004 - a code
        "q": typed.get("q", "").replace("\x00", "").strip()[:100],
    }


def _assigned(dossiers: QuerySet[Dossier], assignment: str, user: User) -> QuerySet[Dossier]:
    if assignment == "moi":
        return dossiers.filter(assignee=user)
    if assignment == "personne":
        return dossiers.filter(assignee__isnull=True)
    if assignment == "autres":
        return dossiers.filter(assignee__isnull=False).exclude(assignee=user)
    return dossiers


def _search(dossiers: QuerySet[Dossier], text: str) -> QuerySet[Dossier]:
    if not text:
        return dossiers
    digits = text.replace(" ", "")
    named = dossiers.model.objects.filter(names__fqdn__icontains=text).values("pk")
    return dossiers.filter(
        Q(reference__iexact=text)
        | Q(organization__in=Name.objects.filter(folded__startswith=fold(text)).values("organization"))
        | Q(organization__name__icontains=text)
        | Q(organization__code__iexact=digits)
        | Q(organization__siren=digits[:9])
        | Q(requester_family_name__icontains=text)
        | Q(requester_email__iexact=text)
        | Q(pk__in=named)
    )


# --- One dossier ------------------------------------------------------------------------------------------------------


@require_safe
def detail(request: HttpRequest, pk: object) -> HttpResponse:
    """Show the request, the evidence and the legal actions."""
    return _render_detail(request, _dossier(request, pk))


def _render_detail(request: HttpRequest, dossier: Dossier, refusal: moves.Refusal | None = None) -> HttpResponse:
    user, _ = _staff(request)
    allowed = moves.allowed(dossier, user)
    context = {
        "dossier": dossier,
        "allowed": allowed,
        "insider": rules.is_insider(dossier, user),
        "summary": summary(dossier),
        "domain": wish(dossier),
        "checklist": checklist(dossier) if dossier.status in Dossier.OPEN else [],
        "deployment": deployment_of(dossier),
        "history": history(dossier, for_staff=True),
        "remarks": points(contents.open_remarks(dossier)),
        "refusal": refusal,
        # What a person wrote for a decision that came too late is not lost.
        "typed": [text for name in WORDS if (text := request.POST.get(name, "").strip())] if refusal else [],
    }
    return render(request, "intake/desk/detail.html", context, status=refusal.status if refusal else 200)


def _colleagues(dossier: Dossier) -> QuerySet[User]:
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


def _answer(request: HttpRequest, dossier: Dossier, event: str, verb: Callable[[], Dossier], done: str) -> HttpResponse:
    """Make a move and answer: the dossier's page, or what happened meanwhile. GuardFailed is the caller's."""
    user, _ = _staff(request)
    try:
        verb()
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except (moves.WrongState, moves.Stale) as refusal:
        fresh = _dossier(request, dossier.pk)
        if not already_done(fresh, {event}, user):
            return _render_detail(request, fresh, refusal)
    else:
        messages.success(request, done)
    if Dossier.objects.followed_by(user).filter(pk=dossier.pk).exists():
        return redirect("desk:detail", pk=dossier.pk)
    return redirect("desk:queue")


@require_POST
def take(request: HttpRequest, pk: object) -> HttpResponse:
    """Become the person who instructs the dossier."""
    dossier, (user, _) = _dossier(request, pk), _staff(request)
    return _answer(
        request,
        dossier,
        "take",
        lambda: workflow.take(dossier, by=user, version=version_of(request)),
        f"Vous instruisez la demande {dossier.reference}.",
    )


@require_POST
def release(request: HttpRequest, pk: object) -> HttpResponse:
    """Put the dossier back in the queue."""
    dossier, (user, _) = _dossier(request, pk), _staff(request)
    return _answer(
        request,
        dossier,
        "release",
        lambda: workflow.release(dossier, by=user, version=version_of(request)),
        f"La demande {dossier.reference} est remise en attente.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def assign(request: HttpRequest, pk: object) -> HttpResponse:
    """Hand the dossier to a colleague."""
    dossier, (user, _) = _dossier(request, pk), _staff(request)
    if answer := _may(request, dossier, "assign"):
        return answer
    colleagues = list(_colleagues(dossier))
    form = AssignForm(request.POST if request.method == "POST" else None, people=colleagues)
    problems: list[Problem] = []
    if request.POST.get("assignee") == str(dossier.assignee_id) and already_done(dossier, {"assign"}, user):
        return redirect("desk:detail", pk=dossier.pk)  # a doubled click: the colleague is no choice any more
    if request.method == "POST" and form.is_valid():
        chosen = next(person for person in colleagues if str(person.pk) == form.cleaned_data["assignee"])
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
    return _render_decision(request, dossier, "assign", form, problems)


# --- Decisions --------------------------------------------------------------------------------------------------------


def _may(request: HttpRequest, dossier: Dossier, event: str) -> HttpResponse | None:
    """Let in who may decide; send back who may not decide now; refuse who never may."""
    user, _ = _staff(request)
    if event in moves.allowed(dossier, user):
        return None
    if not rules.is_insider(dossier, user):
        check(DECIDE if event in {"approve", "reject"} else INSTRUCT, rules.roles(dossier, user))
    if request.method == "POST":  # the verb says precisely what is wrong
        return None
    messages.info(request, "Cette action n’est pas possible dans l’état actuel de la demande, ou pas par vous.")
    return redirect("desk:detail", pk=dossier.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def approve(request: HttpRequest, pk: object) -> HttpResponse:
    """Accept the dossier; what the commune asked for starts being built."""
    dossier, (user, _) = _dossier(request, pk), _staff(request)
    if answer := _may(request, dossier, "approve"):
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
        initial={"rank": 0},
        choices=choices,
        family=dossier.family,
        unproved=checks.needs_a_check(dossier),
        sensitive=False,  # two people have pages of their own: `second_views`
    )
    problems: list[Problem] = []
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            return _answer(
                request,
                dossier,
                "approve",
                lambda: workflow.approve(
                    dossier,
                    by=user,
                    version=version_of(request),
                    rank=data["rank"],
                    check=data.get("check", ""),
                    derogation=data.get("derogation", ""),
                ),
                f"La demande {dossier.reference} est acceptée : la mise en service commence.",
            )
        except moves.GuardFailed as refusal:
            problems = refusal.problems
    context: dict[str, Any] = {"sensitive": [rules.SENSITIVE[code] for code in sensitive], "domain": wish(dossier)}
    return _render_decision(request, dossier, "approve", form, problems, **context)


@require_http_methods(["GET", "HEAD", "POST"])
def reject(request: HttpRequest, pk: object) -> HttpResponse:
    """Refuse the dossier, with reasons."""
    dossier, (user, _) = _dossier(request, pk), _staff(request)
    if answer := _may(request, dossier, "reject") or stepup.missing(request):
        return answer
    form = RejectForm(request.POST if request.method == "POST" else None)
    problems: list[Problem] = []
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            return _answer(
                request,
                dossier,
                "reject",
                lambda: workflow.reject(
                    dossier, data["reasons"], by=user, version=version_of(request), message=data["message"]
                ),
                f"La demande {dossier.reference} est refusée ; la commune en est informée.",
            )
        except moves.GuardFailed as refusal:
            problems = refusal.problems
    return _render_decision(request, dossier, "reject", form, problems)


@require_http_methods(["GET", "HEAD", "POST"])
def request_changes(request: HttpRequest, pk: object) -> HttpResponse:
    """Send the dossier back with what is to be corrected."""
    dossier, (user, _) = _dossier(request, pk), _staff(request)
    if answer := _may(request, dossier, "request_changes"):
        return answer
    form = ChangesForm(request.POST if request.method == "POST" else None)
    problems: list[Problem] = []
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        points = _points(data["reasons"], data["fields_"], data["text"])
        try:
            return _answer(
                request,
                dossier,
                "request_changes",
                lambda: workflow.request_changes(dossier, points, by=user, version=version_of(request)),
                f"La demande {dossier.reference} est renvoyée à la commune pour correction.",
            )
        except moves.GuardFailed as refusal:
            problems = refusal.problems
    return _render_decision(request, dossier, "request_changes", form, problems)


def _points(codes: list[str], picked: list[str], text: str) -> list[workflow.Point]:
    """Tie each reason to its fields: those picked that it is about, or its own when none was picked.

    The words go with « Autre point » where it is chosen, with the first reason otherwise.
    """
    told = "other" if "other" in codes else codes[0]
    points = []
    for code in codes:
        own = CHANGES[code].unlocks
        about = tuple(field for field in picked if field in own) if own else tuple(picked)
        points.append(workflow.Point(code, about or own, text if code == told else ""))
    # A field picked beside every reason is still opened, by the first of them.
    left = [field for field in picked if not any(field in point.fields for point in points)]
    if left:
        points[0] = points[0]._replace(fields=(*points[0].fields, *left))
    return points


def _render_decision(
    request: HttpRequest,
    dossier: Dossier,
    name: str,
    form: Any,  # noqa: ANN401 - dsfr ships no types
    problems: list[Problem],
    **extra: Any,  # noqa: ANN401 - a context
) -> HttpResponse:
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
        "titles": contents.TITLES,
        **extra,
    }
    return render(request, f"intake/desk/{name}.html", context, status=422 if failed else 200)
