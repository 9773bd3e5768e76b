"""Mailboxes from a table: hand it in, read what it would do, confirm."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from onboarding.intake import imports, moves, rules, tables
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete, version_of
from onboarding.intake.request_models import MailboxImport
from suite.accounts.limits import allow
from suite.accounts.permissions import EDIT_DOSSIER, check
from suite.accounts.views import person

A_DAY, DAY = 60, 86_400


def _dossier(request: HttpRequest, pk: object) -> Dossier:
    user = person(request)
    dossier = get_object_or_404(complete().filter(pk__in=Dossier.objects.visible_to(user).values("pk")), pk=pk)
    check(EDIT_DOSSIER, rules.roles(dossier, user))
    return dossier


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, pk: object) -> HttpResponse:
    """Take a table; it is read and kept, and nothing else happens."""
    dossier = _dossier(request, pk)
    if request.method != "POST":
        if dossier.status not in moves.SAVE.sources:
            return redirect("intake:detail", pk=dossier.pk)
        return render(request, "intake/import/upload.html", {"dossier": dossier, "most": tables.LARGEST // 1000})
    handed, status = request.FILES.get("file"), 422
    refused = "" if handed else "Choisissez un fichier CSV, ODS ou XLSX."
    if handed and (handed.size or 0) > tables.LARGEST:
        refused = f"Ce fichier est trop lourd : {tables.LARGEST // 1000} ko au plus."
    elif handed and not allow("mailbox-import", str(request.user.pk), limit=A_DAY, seconds=DAY):
        refused, status = "Beaucoup de fichiers aujourd’hui : continuez demain, ou saisissez les boîtes une à une.", 429
    elif handed:
        try:
            kept = imports.keep(dossier, handed.read(), by=person(request))
        except tables.Unreadable as problem:
            refused = str(problem)
        except moves.NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except moves.Refusal as refusal:
            refused, status = str(refusal), refusal.status
        else:
            return redirect("intake:preview", pk=dossier.pk, table=kept.pk)
    context = {"dossier": dossier, "most": tables.LARGEST // 1000, "refused": refused}
    return render(request, "intake/import/upload.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def preview(request: HttpRequest, pk: object, table: object) -> HttpResponse:
    """Tell what each line would do; a POST does it, if nothing changed since the page was shown."""
    dossier = _dossier(request, pk)
    kept = get_object_or_404(MailboxImport.objects.filter(dossier=dossier), pk=table)
    if kept.applied_at is not None:
        messages.info(request, "Ce tableau est déjà dans la liste.")
        return redirect("intake:step", pk=dossier.pk, step=3)
    refused, status = "", 200
    if request.method == "POST":
        try:
            done = imports.apply(kept, dossier, by=person(request), version=version_of(request))
        except moves.NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except moves.Refusal as refusal:
            refused, status = str(refusal), refusal.status
            dossier = _dossier(request, pk)
        else:
            added, changed = done.count("added"), done.count("changed")
            left = done.count("refused")
            messages.success(
                request,
                f"Boîtes ajoutées : {added} ; modifiées : {changed} ; lignes refusées et laissées de côté : {left}.",
            )
            return redirect("intake:step", pk=dossier.pk, step=3)
    plan = imports.plan(dossier, imports.lines_of(kept))
    context = {
        "dossier": dossier,
        "kept": kept,
        "plan": plan,
        "added": plan.count("added"),
        "changed": plan.count("changed"),
        "left": plan.count("refused"),
        "powers": imports.powers(kept.ignored),
        "editable": dossier.status in moves.SAVE.sources,
        "refused": refused,
    }
    return render(request, "intake/import/preview.html", context, status=status)


@require_safe
def template(request: HttpRequest, pk: object) -> HttpResponse:
    """Give a table to fill in, with the list as it is."""
    dossier = _dossier(request, pk)
    response = HttpResponse(imports.template(dossier), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="boites-{dossier.reference}.csv"'
    return response
