"""The pages of a thread: the commune's, the operators', a message to mend, a file to take out, and one's own rhythm."""

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.intake import moves, rules, thread, thread_answers, thread_digests, thread_files
from onboarding.intake.models import Dossier
from onboarding.intake.notifications import commune_addresses
from onboarding.intake.thread_forms import EditForm, MessageForm, NoteForm, RhythmForm
from onboarding.intake.thread_models import Attachment, Message
from suite.accounts import limits
from suite.accounts.models import User
from suite.accounts.permissions import (
    INSTRUCT,
    SEE_DESK,
    TAKE_OUT,
    WRITE_MESSAGE,
    allows,
    check,
    site_roles,
)
from suite.journal.workflow import record

AN_HOUR, MOST_AN_HOUR = 3600, 60
TOO_MANY = "Vous avez écrit beaucoup de messages en une heure : reprenez un peu plus tard."


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # the site is closed to anonymous people before any view
        raise PermissionDenied
    return request.user


def _read(request: HttpRequest, pk: object) -> Dossier:
    """Return a dossier that the person follows, in whichever quality."""
    known = Dossier.objects.select_related("organization__department", "operator", "assignee", "author")
    return get_object_or_404(known.filter(pk__in=Dossier.objects.visible_to(request.user).values("pk")), pk=pk)


def _followed(request: HttpRequest, pk: object) -> Dossier:
    """Return a dossier that the person follows as staff."""
    check(SEE_DESK, site_roles(request.user))
    known = Dossier.objects.select_related("organization__department", "operator", "assignee", "author")
    return get_object_or_404(known.filter(pk__in=Dossier.objects.followed_by(request.user).values("pk")), pk=pk)


def _key(request: HttpRequest) -> UUID | None:
    """Return the key of the form that was shown, by which the same form sent twice is one message."""
    try:
        return UUID(request.POST.get("key", ""))
    except ValueError:
        return None


# --- The commune's page -----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def commune(request: HttpRequest, pk: object) -> HttpResponse:
    """Show what both sides wrote; a POST writes to the operator."""
    dossier = _read(request, pk)
    if request.method != "POST":
        return _render_commune(request, dossier, MessageForm())
    check(WRITE_MESSAGE, rules.roles(dossier, _user(request)))
    form = MessageForm(request.POST, request.FILES)
    return _write(request, dossier, form, note=False) or _render_commune(request, dossier, form)


def _render_commune(request: HttpRequest, dossier: Dossier, form: MessageForm) -> HttpResponse:
    user = _user(request)
    sent = thread.ledger(dossier, {*commune_addresses(dossier), user.email})
    context = {
        "dossier": dossier,
        "thread": thread.in_full(dossier, user, for_staff=False),
        "form": form,
        "key": uuid4(),
        "closed": thread.closed(dossier),
        "writes": allows(WRITE_MESSAGE, rules.roles(dossier, user)),
        "sent": sent[:20],
        "unreached": thread.unreached(sent),
    }
    return render(request, "intake/thread/commune.html", context, status=_status(form))


# --- The operators' page ----------------------------------------------------------------------------------------------


@require_safe
def desk(request: HttpRequest, pk: object) -> HttpResponse:
    """Show the thread and the notes, each with its own form."""
    return _render_desk(request, _followed(request, pk), MessageForm(), NoteForm())


def _render_desk(request: HttpRequest, dossier: Dossier, form: MessageForm, note_form: NoteForm) -> HttpResponse:
    user = _user(request)
    sent = thread.ledger(dossier)
    context = {
        "dossier": dossier,
        "thread": thread.in_full(dossier, user, for_staff=True),
        "form": form,
        "note_form": note_form,
        "key": uuid4(),
        "note_key": uuid4(),
        "closed": thread.closed(dossier),
        "writes": thread.is_staff(dossier, user),
        "sent": sent,
        "unreached": thread.unreached(sent),
        "refused": thread_answers.refused(dossier),
        "colleagues": thread.mentionable(dossier)[:50],
    }
    return render(request, "intake/thread/desk.html", context, status=max(_status(form), _status(note_form)))


@require_POST
def write(request: HttpRequest, pk: object) -> HttpResponse:
    """Write to the commune."""
    dossier = _followed(request, pk)
    check(INSTRUCT, rules.roles(dossier, _user(request)))
    form = MessageForm(request.POST, request.FILES)
    return _write(request, dossier, form, note=False) or _render_desk(request, dossier, form, NoteForm())


@require_POST
def note(request: HttpRequest, pk: object) -> HttpResponse:
    """Write a note for the operators alone."""
    dossier = _followed(request, pk)
    check(INSTRUCT, rules.roles(dossier, _user(request)))
    form = NoteForm(request.POST, request.FILES)
    return _write(request, dossier, form, note=True) or _render_desk(request, dossier, MessageForm(), form)


def _write(request: HttpRequest, dossier: Dossier, form: MessageForm, *, note: bool) -> HttpResponse | None:
    """Add what was written and answer; None when the page is to be shown again with what is wrong."""
    if not form.is_valid():
        return None
    user = _user(request)
    if not limits.allow("message", str(user.pk), limit=MOST_AN_HOUR, seconds=AN_HOUR):
        form.add_error("body", TOO_MANY)
        return None
    verb = thread.note if note else thread.write
    try:
        made = verb(dossier, form.cleaned_data["body"], by=user, files=form.cleaned_data["files"], key=_key(request))
    except moves.NotAllowed as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except moves.Refusal as refusal:
        form.add_error("body", str(refusal))
        form.refused = refusal.status
        return None
    if note:
        messages.success(request, "Votre note est enregistrée. Elle reste entre opérateurs.")
    else:
        messages.success(request, "Votre message est enregistré et va partir par courriel.")
    return redirect("desk:thread" if made.side == Message.Side.OPERATOR else "intake:thread", pk=dossier.pk)


def _status(form: Any) -> int:  # noqa: ANN401 - dsfr ships no types
    if not form.is_bound or form.is_valid():
        return 200
    return int(getattr(form, "refused", 422))


# --- One message, one file, the marker --------------------------------------------------------------------------------


def _message(request: HttpRequest, dossier: Dossier, message: UUID) -> Message:
    """Return a message of the dossier that the person may read: a note is staff's."""
    for_staff = Dossier.objects.followed_by(request.user).filter(pk=dossier.pk).exists()
    readable = Message.objects.filter(dossier=dossier)
    found = get_object_or_404(readable if for_staff else readable.of_the_commune(), pk=message)
    found.dossier = dossier
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: object, message: UUID) -> HttpResponse:
    """Mend one's own message, within fifteen minutes."""
    dossier, user = _read(request, pk), _user(request)
    shown = _message(request, dossier, message)
    if shown.author_id != user.pk:
        raise PermissionDenied("Seule la personne qui a écrit ce message peut le modifier.")
    form = EditForm(request.POST if request.method == "POST" else None, initial={"body": shown.body})
    if request.method == "POST" and form.is_valid():
        try:
            thread.edit(shown, form.cleaned_data["body"], by=user)
        except moves.Refusal as refusal:
            form.add_error("body", str(refusal))
            form.refused = refusal.status
        else:
            messages.success(request, "Votre message est modifié.")
            return redirect("desk:thread" if shown.side == Message.Side.OPERATOR else "intake:thread", pk=dossier.pk)
    context = {"dossier": dossier, "shown": shown, "form": form}
    return render(request, "intake/thread/edit.html", context, status=_status(form))


@never_cache
@require_POST
def attachment(request: HttpRequest, pk: object, attachment: UUID) -> HttpResponse:
    """Hand a file over as a download, never shown by the site; who takes it out is written down."""
    dossier, user = _read(request, pk), _user(request)
    check(TAKE_OUT, rules.roles(dossier, user))
    kept = get_object_or_404(Attachment, pk=attachment, message__dossier=dossier)
    _message(request, dossier, kept.message_id)
    content = thread_files.content_of(kept)
    if content is None:
        raise Http404
    record(thread.STREAM, dossier.pk, "attachment_read", by=user, payload={"attachment": str(kept.pk)})
    response = HttpResponse(content, content_type=thread_files.content_type(kept))
    response["Content-Disposition"] = f'attachment; filename="{thread_files.download_name(kept)}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_POST
def read(request: HttpRequest, pk: object) -> HttpResponse:
    """Say that the thread is read so far."""
    dossier, user = _read(request, pk), _user(request)
    thread.mark_read(dossier, by=user)
    messages.success(request, "Les messages sont marqués comme lus.")
    staff = Dossier.objects.followed_by(user).filter(pk=dossier.pk).exists()
    return redirect("desk:thread" if staff else "intake:thread", pk=dossier.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def rhythm(request: HttpRequest) -> HttpResponse:
    """Choose when what can wait comes by mail."""
    user = _user(request)
    initial = {"rhythm": "daily" if thread_digests.is_daily(user) else "immediate"}
    form = RhythmForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        thread_digests.choose(user, daily=form.cleaned_data["rhythm"] == "daily")
        messages.success(request, "Votre choix est enregistré.")
        return redirect("intake:rhythm")
    return render(request, "intake/thread/rhythm.html", {"form": form}, status=_status(form))
