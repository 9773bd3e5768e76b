"""« Demandes proches »: what resembles a dossier, the two side by side, and « Doublon de … »."""

from typing import NamedTuple
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.intake import duplicates, moves, nearby, reading
from onboarding.intake.checks import Problem
from onboarding.intake.desk import landing, may, render_detail
from onboarding.intake.desk_access import dossier_of, staff_of
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete, summary, version_of, wish
from onboarding.intake.previewing import Sending, drafted, made
from onboarding.intake.views import already_done
from suite.accounts import stepup


@require_safe
def near(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List the « Demandes proches », and in what they are; what is out of sight is only counted."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    found = nearby.near(dossier)
    seen = set(
        Dossier.objects.followed_by(user).filter(pk__in=[one.dossier.pk for one in found]).values_list("pk", flat=True)
    )
    context = {
        "dossier": dossier,
        "domain": wish(dossier),
        "near": [one for one in found if one.dossier.pk in seen],
        "hidden": len(found) - len(seen),
    }
    return render(request, "intake/desk_near/near.html", context)


class Line(NamedTuple):
    """One fact of two dossiers."""

    label: str
    here: str
    there: str

    @property
    def same(self) -> bool:
        return self.here == self.there


def _other(request: HttpRequest, dossier: Dossier) -> Dossier | None:
    """Return the dossier to compare with, when it is another one and in sight."""
    user, _ = staff_of(request)
    typed = request.POST.get("avec", "") or request.GET.get("avec", "")
    try:
        key = UUID(typed)
    except ValueError:
        return None
    followed = Dossier.objects.followed_by(user).filter(pk=key).exclude(pk=dossier.pk).values("pk")
    return complete().filter(pk__in=followed).first()


@require_safe
def compare(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show two dossiers side by side."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    other = _other(request, dossier)
    if other is None:
        messages.info(request, "Choisissez dans la liste la demande à comparer.")
        return redirect("desk:near", pk=dossier.pk)
    sections = [
        (title, [Line(label, here, there) for (label, here), (_, there) in zip(lines, others, strict=False)])
        for (_, title, lines), (_, _, others) in zip(summary(dossier), summary(other), strict=True)
    ]
    boxes = [sorted(row.local_part for row in one.mailboxes.all()) for one in (dossier, other)]
    context = {
        "dossier": dossier,
        "other": other,
        "sections": [section for section in sections if section[1]],
        "mailboxes": Line("Boîtes aux lettres", *(", ".join(one) for one in boxes)),
        "state": Line("État", dossier.get_status_display(), other.get_status_display()),
        "may_close": "reject" in moves.allowed(dossier, user),
    }
    return render(request, "intake/desk_near/compare.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def duplicate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Close the dossier as the double of another."""
    dossier, (user, _) = dossier_of(request, pk), staff_of(request)
    if answer := may(request, dossier, "reject") or stepup.missing(request):
        return answer
    other = _other(request, dossier)
    if other is None:
        messages.info(request, "Choisissez dans la liste la demande dont celle-ci est le doublon.")
        return redirect("desk:near", pk=dossier.pk)
    drafted_words = str(drafted(user, dossier, "duplicate").get("message", duplicates.message(dossier, other)))
    words = request.POST.get("message", drafted_words)[:1000]
    problems = list[Problem]()
    if request.method == "POST":
        answer, problems = _close(request, dossier, other, words)
        if answer:
            return answer
    context = {
        "dossier": dossier,
        "other": other,
        "words": words,
        "problems": problems,
        "version": request.POST.get("version") or dossier.version,
    }
    return render(request, "intake/desk_near/duplicate.html", context, status=422 if problems else 200)


def _close(
    request: HttpRequest, dossier: Dossier, other: Dossier, words: str
) -> tuple[HttpResponse | None, list[Problem]]:
    """Show the letter, or close; return the answer, or the problems to show in the form again."""
    user, _ = staff_of(request)
    sending = Sending("duplicate", "Clore comme doublon", f"{request.path}?avec={other.pk}")

    def close() -> object:
        return duplicates.close(dossier, other, by=user, version=version_of(request), message=words)

    try:
        if shown := made(request, user, dossier, sending, close):
            return shown, []
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.GuardFailed as refusal:
        return None, refusal.problems
    except (moves.WrongState, moves.Stale) as refusal:
        fresh = dossier_of(request, dossier.pk)
        if not already_done(fresh, {"reject"}, user):
            return render_detail(request, fresh, refusal), []
    else:
        reading.mark(dossier, user)
        messages.success(request, f"La demande {dossier.reference} est close comme doublon de {other.reference}.")
    return redirect(landing(user, dossier)), []
