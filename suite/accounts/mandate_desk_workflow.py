"""The operators' verbs on mandates: let a held request go, print, post, read a document, settle an objection, sweep."""

import datetime as dt
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from suite.accounts import codes, documents, mandate_notifications, mandate_workflow, mandates
from suite.accounts.letters import Paper
from suite.accounts.mandate_models import Document, Letter, MandateProof, Objection
from suite.accounts.mandate_workflow import MandateRefused
from suite.accounts.models import Membership, User
from suite.accounts.rights import operator_scope
from suite.directory.models import Operator, Organization
from suite.journal.workflow import record
from suite.notices.models import Notice
from suite.notices.workflow import queue

S = MandateProof.State
Route = MandateProof.Route
# How long the original of a document is kept after its decision.
KEPT = dt.timedelta(days=183)
GONE = "Quelqu’un s’en est occupé entre-temps."


class NotAllowed(Exception):
    """The person may look, and not do this; a French sentence."""


# --- What an operator sees --------------------------------------------------------------------------------------------


def in_scope(user: User) -> Q:
    """Return the filter of what concerns the collectivités an operator's person follows: nothing for anybody else."""
    scope = operator_scope(user)
    if scope is None:
        return Q(pk__in=[])
    if scope.national:
        return Q()
    served = Operator.organizations.through.objects.filter(operator__in=scope.operators).values("organization")
    here = Organization.objects.filter(
        Q(department__in=scope.departments) | Q(departments__overlap=list(scope.departments)) | Q(pk__in=served)
    )
    return Q(organization__in=here.values("pk"))


def proofs_followed_by(user: User) -> QuerySet[MandateProof]:
    """Return the proofs an operator's person may look at."""
    return MandateProof.objects.filter(in_scope(user)).select_related(
        "organization__department", "user", "requested_by"
    )


def letters_followed_by(user: User) -> QuerySet[Letter]:
    """Return the letters to print, or printed and not posted yet: never those the person asked for itself."""
    waiting = proofs_followed_by(user).filter(route=Route.LETTER, state=S.PENDING).exclude(requested_by=user)
    return (
        Letter.objects.filter(proof__in=waiting.values("pk"), posted_at__isnull=True)
        .exclude(sealed_code="")
        .select_related("proof__organization", "proof__requested_by", "printed_by")
        .order_by("proof__created_at")
    )


def objections_followed_by(user: User) -> QuerySet[Objection]:
    """Return the objections that wait for somebody."""
    return (
        mandates.open_objections()
        .filter(in_scope(user))
        .select_related("organization__department", "user", "proof__requested_by")
        .order_by("made_at")
    )


# --- Held requests ----------------------------------------------------------------------------------------------------


@transaction.atomic
def let_go(proof: MandateProof, *, by: User) -> None:
    """Send what the collectivité's daily number, or another's letter, had held back."""
    _require_instructor(proof, by)
    _move(proof, {S.HELD}, S.PENDING, by=by, decided=True)
    event = mandate_workflow.note(proof, "let_go", by=by)
    contact = mandate_workflow.contact_of(proof.organization)
    if proof.route == Route.EMAIL:
        email = next((one for one in contact.emails if codes.mask(one) == proof.sent_to), "")
        if not email:
            raise MandateRefused("no_email", "L’adresse officielle a changé depuis : la personne doit redemander.")
        mandate_workflow.send_code(proof, email, event)
    else:
        mandate_workflow.write_letter(proof, contact.address_lines)


@transaction.atomic
def turn_down(proof: MandateProof, *, by: User, reason: str) -> None:
    """Refuse a held request, or a document, and tell the person why."""
    _require_instructor(proof, by)
    if not reason.strip():
        raise MandateRefused("reason", "Écrivez pourquoi : la personne le lira.")
    _move(proof, {S.HELD} | ({S.PENDING} if proof.route == Route.DOCUMENT else set()), S.REFUSED, by=by, reason=reason)
    Document.objects.filter(proof=proof).update(decided_at=timezone.now())
    event = mandate_workflow.note(proof, "refused", by=by)
    queue("mandate_refused", to=_asker(proof), event=event, context=_context(proof) | {"reason": reason})


# --- Letters ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def print_letters(letters: Iterable[Letter], *, by: User) -> list[Paper]:
    """Return the letters as they will be printed; each code may be typed from now on, for its thirty days."""
    papers = []
    now = timezone.now()
    chosen = Letter.objects.filter(pk__in=[one.pk for one in letters]).order_by("proof__created_at")
    for letter in chosen.select_for_update(of=("self",)):
        proof = MandateProof.objects.select_related("organization", "requested_by").get(pk=letter.proof_id)
        _require_instructor(proof, by)
        code, objection = codes.unseal(letter.sealed_code), codes.unseal(letter.sealed_objection)
        if proof.state != S.PENDING or letter.posted_at or not code:
            continue
        Letter.objects.filter(pk=letter.pk).update(printed_at=now, printed_by=by)
        MandateProof.objects.filter(pk=proof.pk).update(code_expires_at=now + mandate_workflow.LETTER_LIFE)
        mandate_workflow.note(proof, "printed", by=by)
        papers.append(
            Paper(
                addressee=f"Mairie de {proof.organization.name}"
                if proof.organization.kind == Organization.Kind.COMMUNE
                else proof.organization.name,
                lines=tuple(letter.address_lines),
                organization=proof.organization.name,
                asked_by=proof.requested_by.get_full_name(),
                asked_on=timezone.localdate(proof.created_at),
                reference=proof.case_reference,
                code=codes.grouped(code, 5),
                days=mandate_workflow.LETTER_LIFE.days,
                enter_url=f"{settings.PUBLIC_BASE_URL}{reverse('accounts:mandate_confirm')}"
                if proof.case
                else f"{settings.PUBLIC_BASE_URL}{reverse('accounts:mandate_detail', args=[proof.organization.code])}",
                objection_url=mandate_notifications.objection_url(codes.grouped(objection, 6).replace(" ", "-")),
            )
        )
    if not papers:
        raise MandateRefused("nothing", "Choisissez au moins un courrier qui reste à imprimer.")
    return papers


@transaction.atomic
def mark_posted(letters: Iterable[Letter], *, by: User) -> int:
    """Say that the printed letters are in the post, and forget their codes: nobody reads them again here."""
    count = 0
    now = timezone.now()
    for letter in list(letters):
        proof = MandateProof.objects.select_related("organization").get(pk=letter.proof_id)
        _require_instructor(proof, by)
        printed = Letter.objects.filter(pk=letter.pk, printed_at__isnull=False, posted_at__isnull=True)
        if printed.update(posted_at=now, posted_by=by, sealed_code="", sealed_objection=""):
            MandateProof.objects.filter(pk=proof.pk).update(code_expires_at=now + mandate_workflow.LETTER_LIFE)
            mandate_workflow.note(proof, "posted", by=by)
            count += 1
    if not count:
        raise MandateRefused("nothing", "Choisissez des courriers déjà imprimés : on poste après avoir imprimé.")
    return count


# --- Documents --------------------------------------------------------------------------------------------------------


@transaction.atomic
def accept_document(
    proof: MandateProof, *, by: User, signatory: str, signed_on: dt.date, term_ends_on: dt.date | None
) -> None:
    """Take a document as a proof, with who signed it, when, and until when that person is in office."""
    _require_instructor(proof, by)
    now, today = timezone.now(), timezone.localdate()
    if not signatory.strip():
        raise MandateRefused("signatory", "Écrivez qui a signé le document.")
    if signed_on > today:
        raise MandateRefused("signed_on", "Ce document est daté de plus tard qu’aujourd’hui.")
    if term_ends_on is not None and term_ends_on <= today:
        raise MandateRefused("term_ends_on", "Le mandat du signataire est terminé : ce document ne prouve plus rien.")
    end = now + mandates.LIFE
    if term_ends_on is not None:
        end = min(end, timezone.make_aware(dt.datetime.combine(term_ends_on, dt.time.max)))
    _move(proof, {S.PENDING}, S.PROVED, by=by, decided=True, proved_at=now, expires_at=end)
    Document.objects.filter(proof=proof).update(
        signatory=signatory.strip()[:100], signed_on=signed_on, term_ends_on=term_ends_on, decided_at=now
    )
    event = mandate_workflow.note(proof, "proved", by=by)
    queue("mandate_accepted", to=_asker(proof), event=event, context=_context(proof))


def record_reading(proof: MandateProof, *, by: User) -> None:
    """Write down that somebody took the document out to read it."""
    mandate_workflow.note(proof, "read", by=by)


# --- Objections -------------------------------------------------------------------------------------------------------


@transaction.atomic
def uphold_objection(objection: Objection, *, by: User, finding: str) -> None:
    """Agree with the town hall: the person's right ends, and no sign-in gives it back."""
    _close(objection, by=by, finding=finding, kind="upheld")
    if objection.user_id is None:
        return
    rights = Membership.objects.filter(user=objection.user_id, organization=objection.organization_id)
    for right in rights.exclude(state=Membership.State.ENDED):
        ended = rights.filter(pk=right.pk).exclude(state=Membership.State.ENDED)
        if ended.update(state=Membership.State.ENDED, resumes_to="", decided_by=by, changed_at=timezone.now()):
            payload = {"user": str(objection.user_id), "organization": str(objection.organization_id)}
            record("membership", right.pk, "membership.ended", by=by, payload=payload)


@transaction.atomic
def dismiss_objection(objection: Objection, *, by: User, finding: str) -> None:
    """Find that the objection was a mistake: what was proved holds again, for the rest of its term."""
    _close(objection, by=by, finding=finding, kind="dismissed")
    about = mandate_workflow.Subject(user=objection.user, case=objection.case).rows
    objected = MandateProof.objects.filter(about, organization=objection.organization_id, state=S.OBJECTED)
    for proof in objected.filter(proved_at__isnull=False, expires_at__gt=timezone.now()):
        MandateProof.objects.filter(pk=proof.pk, state=S.OBJECTED).update(
            state=S.PROVED, reason="", changed_at=timezone.now()
        )
        mandate_workflow.note(proof, "restored", by=by)


def _close(objection: Objection, *, by: User, finding: str, kind: str) -> None:
    proof = MandateProof.objects.select_related("organization").get(pk=objection.proof_id)
    _require_instructor(proof, by)
    if not finding.strip():
        raise MandateRefused("finding", "Écrivez ce que vous avez vérifié, et auprès de qui.")
    same = Objection.objects.filter(pk=objection.pk, closed_at__isnull=True)
    if not same.update(closed_at=timezone.now(), closed_by=by, finding=finding.strip()[:500]):
        raise MandateRefused("gone", GONE)
    mandate_workflow.note(proof, f"objection_{kind}", by=by)


# --- What time does ---------------------------------------------------------------------------------------------------


def sweep() -> None:
    """End what is over, and erase what is not to be kept: may run at any time, late, or twice."""
    now = timezone.now()
    for proof in MandateProof.objects.filter(state__in=MandateProof.LIVE).filter(_over(now))[:500]:
        with transaction.atomic():
            if MandateProof.objects.filter(pk=proof.pk, state=proof.state).update(
                state=S.EXPIRED, code_digest="", head_digest="", changed_at=now
            ):
                mandate_workflow.erase_letters([proof.pk])
                mandate_workflow.note(proof, "expired", by=None)
    _erase_documents(now)
    # The ledger keeps that the message was sent; its code is dead, and goes.
    dead = Notice.objects.filter(kind="mandate_code", created_at__lt=now - 2 * mandate_workflow.EMAIL_LIFE)
    dead.exclude(state=Notice.State.QUEUED).exclude(body_text="").update(body_text="", body_html="")


def _over(now: dt.datetime) -> Q:
    over = Q(state=S.PROVED, expires_at__lte=now) | Q(state=S.PENDING, code_expires_at__lte=now)
    # Nobody answered a held request, or printed a letter, for a month.
    over |= Q(
        state__in=MandateProof.OPEN, code_expires_at__isnull=True, created_at__lte=now - mandate_workflow.LETTER_LIFE
    ) & ~Q(route=Route.DOCUMENT)
    election = mandates.last_election(timezone.localdate(now))
    return over | Q(state=S.PROVED, elected=True, proved_at__date__lte=election) if election else over


def _erase_documents(now: dt.datetime) -> None:
    """Erase the originals six months after their decision, and the files of no row; their digests stay."""
    old = (
        Document.objects.filter(decided_at__lte=now - KEPT)
        .exclude(stored_name="")
        .select_related("proof__organization")
    )
    for document in old[:500]:
        with transaction.atomic():
            documents.erase_on_commit(document.stored_name)
            Document.objects.filter(pk=document.pk).update(stored_name="", erased_at=now)
            mandate_workflow.note(document.proof, "document_erased", by=None)
    folder = Path(settings.DOCUMENTS_DIR)
    if not folder.is_dir():
        return
    known = set(Document.objects.exclude(stored_name="").values_list("stored_name", flat=True))
    for path in folder.iterdir():
        if path.name not in known and path.stat().st_mtime < time.time() - 86_400:
            path.unlink(missing_ok=True)


# --- What the verbs share ---------------------------------------------------------------------------------------------


def _require_instructor(proof: MandateProof, user: User) -> None:
    scope = operator_scope(user)
    if scope is None or not scope.instructs:
        raise NotAllowed("Votre rôle permet de lire ces demandes, pas de les traiter.")
    if user.pk in {proof.requested_by_id, proof.user_id}:
        raise NotAllowed("Vous avez vous-même fait cette demande : un collègue doit la traiter.")
    if user.memberships.filter(organization=proof.organization_id).exclude(state=Membership.State.ENDED).exists():
        raise NotAllowed("Vous êtes rattaché à cette collectivité : un collègue doit traiter cette demande.")


def _move(  # noqa: PLR0913 - a move has these facts
    proof: MandateProof,
    sources: set[S],
    target: S,
    *,
    by: User,
    reason: str = "",
    decided: bool = True,
    **facts: dt.datetime,
) -> None:
    rows = MandateProof.objects.filter(pk=proof.pk, state__in=sources).update(
        state=target,
        reason=reason.strip()[:500],
        decided_by=by if decided else None,
        changed_at=timezone.now(),
        **facts,
    )
    if not rows:
        raise MandateRefused("gone", GONE)


def _asker(proof: MandateProof) -> str:
    return proof.requested_by.email


def _context(proof: MandateProof) -> dict[str, object]:
    page = reverse("accounts:mandate_detail", args=[proof.organization.code])
    return {"proof": proof, "url": f"{settings.PUBLIC_BASE_URL}{page}"}
