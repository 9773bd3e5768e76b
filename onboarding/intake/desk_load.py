"""« Charge » and absences: who has what in hand, who is away, and the handing out."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from dsfr.forms import DsfrBaseForm

from onboarding.intake import absences, workload
from onboarding.intake.desk_access import instructor_of, staff_of
from onboarding.intake.desk_models import Absence
from onboarding.intake.moves import GuardFailed, NotAllowed
from suite.accounts.models import User
from suite.accounts.permissions import SEE_LOAD, SHARE_OUT
from suite.directory.models import Operator


@require_safe
def load(request: HttpRequest) -> HttpResponse:
    """Show what each person of the teams one leads has in hand."""
    _, scope = staff_of(request, SEE_LOAD)
    context = {"teams": workload.teams(scope), "shares": scope.leads}
    return render(request, "intake/desk_load/load.html", context)


def _led(request: HttpRequest, pk: UUID) -> tuple[Operator, User]:
    user, scope = staff_of(request, SHARE_OUT)
    if "lead" not in scope.roles_over({pk}):
        raise PermissionDenied(SHARE_OUT.refusal)
    return get_object_or_404(Operator, pk=pk), user


@require_POST
def share_out(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Hand out what waits at an operator, now or from now on."""
    operator, user = _led(request, pk)
    asked = request.POST.get("automatique", "")
    if asked in {"oui", "non"}:
        workload.set_automatic(operator, on=asked == "oui", by=user)
        said = "se fera désormais d’elle-même" if asked == "oui" else "ne se fait plus d’elle-même"
        messages.success(request, f"La répartition des demandes de {operator.name} {said}.")
        return redirect("desk:load")
    done = workload.distribute(operator, by=user)
    if done:
        plural = "s" if done > 1 else ""
        messages.success(request, f"{done} demande{plural} répartie{plural} dans l’équipe de {operator.name}.")
    else:
        messages.info(request, "Aucune demande n’a pu être répartie : rien n’attend, ou personne n’est présent.")
    return redirect("desk:load")


class AbsenceForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """When, and who takes over."""

    use_required_attribute = False
    person = forms.ChoiceField(label="Personne absente")
    first_day = forms.DateField(label="Premier jour", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    last_day = forms.DateField(label="Dernier jour", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    deputy = forms.ChoiceField(
        label="Collègue qui reprend les demandes", error_messages={"required": "Choisissez un collègue."}
    )

    def __init__(self, *args: Any, people: list[User], deputies: list[User], **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        for name, users in (("person", people), ("deputy", deputies)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
            empty = [("", "Choisissez")] if name == "deputy" else []
            field.choices = [*empty, *((str(one.pk), one.get_full_name()) for one in users)]


@require_http_methods(["GET", "HEAD", "POST"])
def absence(request: HttpRequest) -> HttpResponse:
    """Show the coming absences of the team, and declare one."""
    user = instructor_of(request)
    team = list(absences.colleagues(user))
    led = [one for one in team if absences.leads(user, one)] if _leads(user) else []
    form = AbsenceForm(
        request.POST if request.method == "POST" else None,
        people=[user, *led],
        deputies=[*team, user] if led else team,
        initial={"person": str(user.pk)},
    )
    if request.method == "POST" and form.is_valid():
        data, everybody = form.cleaned_data, {str(one.pk): one for one in [user, *team]}
        try:
            absences.declare(
                everybody[data["person"]],
                deputy=everybody[data["deputy"]],
                first_day=data["first_day"],
                last_day=data["last_day"],
                by=user,
            )
        except NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except GuardFailed as refusal:
            for problem in refusal.problems:
                form.add_error(problem.field, problem.message)
        else:
            messages.success(request, "L’absence est enregistrée : les demandes suivront.")
            return redirect("desk:absence")
    known = absences.coming().filter(user__in=[user.pk, *(one.pk for one in team)])
    failed = request.method == "POST"
    context = {"form": form, "loose": [], "absences": known, "mine": {user.pk, *(one.pk for one in led)}}
    return render(request, "intake/desk_load/absence.html", context, status=422 if failed else 200)


def _leads(user: User) -> bool:
    return user.operator_roles.filter(active=True, role="lead").exists()


@require_POST
def cancel_absence(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Call an absence off."""
    user = instructor_of(request)
    team = absences.colleagues(user).values("pk")
    known = Absence.objects.filter(user__in=team) | Absence.objects.filter(user=user)
    found = get_object_or_404(known.select_related("user"), pk=pk)
    try:
        absences.cancel(found, by=user)
    except NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    messages.success(request, "L’absence est annulée.")
    return redirect("desk:absence")
