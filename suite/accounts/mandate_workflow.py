"""The verbs of a mandate: ask for a code or hand a document in, and type the code.

A try is counted in its own statement before the code is compared: two tries at once are two tries. What an operator
does is in `mandate_desk_workflow`, what a town hall objects in `mandate_objections`.
"""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from suite.accounts import codes, documents, mandate_notifications, mandates
from suite.accounts.mandate_models import Document, Letter, MandateProof
from suite.accounts.models import Membership, User
from suite.directory.models import DeclaredContact, Organization
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices.workflow import queue

S = MandateProof.State
Route = MandateProof.Route
STREAM = "mandate"

EMAIL_LIFE = dt.timedelta(minutes=30)
LETTER_LIFE = dt.timedelta(days=30)
TRIES = 5
DAY = dt.timedelta(days=1)
EMAILS_A_DAY = 3  # per requester, and per collectivité
LETTERS_A_MONTH = 3  # per requester
LETTERS_A_DAY = 20  # per operator's person, for the dossiers it prepares
DOCUMENTS_A_DAY = 5  # per requester

OTHERS = (
    "Vous pouvez prouver votre habilitation par une autre voie, ou nous écrire à "
    f"{settings.CONTACT_EMAIL}\u00a0: une personne vous répondra."
)


class MandateRefused(Exception):
    """A step that was refused: `code` names why, `str()` is a French sentence with the remedy."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Subject:
    """Whose mandate: a person's, or that of whoever will take over the dossier `case` that an operator prepares."""

    user: User | None = None
    case: uuid.UUID | None = None
    reference: str = ""

    @property
    def rows(self) -> Q:
        """The rows about the same subject."""
        return Q(user=self.user) if self.user else Q(case=self.case)


# --- Asking -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def request_email_code(organization: Organization, *, address: int, by: User, elected: bool) -> MandateProof:
    """Send a code to one of the declared addresses (`address` is its place in the list).

    What exceeds the collectivité's daily number is held for an operator; what exceeds the person's is refused.
    """
    emails = contact_of(organization).emails
    if not emails:
        raise MandateRefused("no_email", f"Aucune adresse électronique officielle n’est connue. {OTHERS}")
    if not 0 <= address < len(emails):
        raise MandateRefused("address", "Choisissez une des adresses proposées.")
    lock(organization)
    _refuse_objected(organization, Subject(user=by))
    sent = MandateProof.objects.filter(route=Route.EMAIL, created_at__gt=timezone.now() - DAY)
    if sent.filter(requested_by=by).count() >= EMAILS_A_DAY:
        raise MandateRefused(
            "too_many", f"Vous avez déjà demandé {EMAILS_A_DAY} codes en vingt-quatre heures. {OTHERS}"
        )
    held = sent.filter(organization=organization).exclude(state=S.HELD).count() >= EMAILS_A_DAY
    email = emails[address]
    _replace(organization, Subject(user=by), Route.EMAIL, by=by)
    proof = MandateProof.objects.create(
        organization=organization,
        user=by,
        requested_by=by,
        route=Route.EMAIL,
        state=S.HELD if held else S.PENDING,
        sent_to=codes.mask(email),
        free_mail=codes.is_free_mail(email),
        elected=elected,
    )
    event = note(proof, "held" if held else "asked", by=by)
    if held:
        mandate_notifications.tell_operator(proof, event)
    else:
        send_code(proof, email, event)
    return proof


def send_code(proof: MandateProof, email: str, event: Event) -> None:
    """Give the proof a fresh code and a fresh link to object, and queue the message that carries both."""
    code, objection = codes.make(codes.EMAIL_LENGTH), codes.make(codes.OBJECTION_LENGTH)
    MandateProof.objects.filter(pk=proof.pk).update(
        code_digest=codes.digest(code, str(proof.pk)),
        objection_digest=codes.digest(objection, "objection"),
        code_expires_at=timezone.now() + EMAIL_LIFE,
        tries=0,
    )
    queue(
        "mandate_code",
        to=email,
        event=event,
        context={
            "proof": proof,
            "code": codes.grouped(code, 4),
            "minutes": int(EMAIL_LIFE.total_seconds() // 60),
            "objection_url": mandate_notifications.objection_url(objection),
        },
    )


@transaction.atomic
def request_letter(organization: Organization, *, subject: Subject, by: User, elected: bool) -> MandateProof:
    """Have a letter with a code printed for the town hall.

    A second letter of the same person revokes the first; somebody else's waits for an operator, so that nobody can
    make another's letter worthless.
    """
    lines = contact_of(organization).address_lines
    if not lines:
        raise MandateRefused("no_address", f"Aucune adresse postale officielle n’est connue. {OTHERS}")
    lock(organization)
    _refuse_objected(organization, subject)
    asked = MandateProof.objects.filter(route=Route.LETTER, requested_by=by)
    window, most = (DAY, LETTERS_A_DAY) if subject.case else (LETTER_LIFE, LETTERS_A_MONTH)
    if asked.filter(created_at__gt=timezone.now() - window).count() >= most:
        raise MandateRefused("too_many", f"Vous avez déjà demandé {most} courriers récemment. {OTHERS}")
    _replace(organization, subject, Route.LETTER, by=by)
    held = MandateProof.objects.filter(organization=organization, route=Route.LETTER, state=S.PENDING).exists()
    proof = MandateProof.objects.create(
        organization=organization,
        user=subject.user,
        case=subject.case,
        case_reference=subject.reference,
        requested_by=by,
        route=Route.LETTER,
        state=S.HELD if held else S.PENDING,
        sent_to=lines[-1],
        elected=elected,
    )
    event = note(proof, "held" if held else "asked", by=by)
    if not held:
        write_letter(proof, lines)
    mandate_notifications.tell_operator(proof, event)
    return proof


def write_letter(proof: MandateProof, lines: list[str]) -> Letter:
    """Give the proof its code, sealed until the letter is posted; the code lives from the day it is printed."""
    code, objection = codes.make(codes.LETTER_LENGTH), codes.make(codes.OBJECTION_LENGTH)
    MandateProof.objects.filter(pk=proof.pk).update(
        code_digest=codes.digest(code, str(proof.pk)),
        head_digest=codes.digest(code[: codes.HEAD_LENGTH], str(proof.pk)),
        objection_digest=codes.digest(objection, "objection"),
    )
    return Letter.objects.create(
        proof=proof, sealed_code=codes.seal(code), sealed_objection=codes.seal(objection), address_lines=lines
    )


@transaction.atomic
def hand_in_document(
    organization: Organization, content: bytes, *, subject: Subject, by: User, elected: bool
) -> MandateProof:
    """Keep a written mandate for an operator to read. The file's content decides, never its name."""
    checked = documents.inspect(content)
    lock(organization)
    _refuse_objected(organization, subject)
    today = MandateProof.objects.filter(route=Route.DOCUMENT, created_at__gt=timezone.now() - DAY)
    if today.filter(requested_by=by).count() >= DOCUMENTS_A_DAY:
        raise MandateRefused("too_many", f"Vous avez déjà déposé {DOCUMENTS_A_DAY} documents aujourd’hui. {OTHERS}")
    _replace(organization, subject, Route.DOCUMENT, by=by)
    objection = codes.make(codes.OBJECTION_LENGTH)
    proof = MandateProof.objects.create(
        organization=organization,
        user=subject.user,
        case=subject.case,
        case_reference=subject.reference,
        requested_by=by,
        route=Route.DOCUMENT,
        elected=elected,
        objection_digest=codes.digest(objection, "objection"),
    )
    Document.objects.create(
        proof=proof,
        stored_name=documents.store(checked),
        kind=checked.kind,
        size=len(content),
        sha256=checked.sha256,
    )
    event = note(proof, "asked", by=by, sha256=checked.sha256)
    mandate_notifications.tell_operator(proof, event)
    contact = DeclaredContact.objects.filter(organization=organization).first()
    if contact and contact.emails:
        # The town hall hears of it: whoever writes a false decree does not hold its mailbox too.
        queue(
            "mandate_document_received",
            to=contact.emails[0],
            event=event,
            context={"proof": proof, "objection_url": mandate_notifications.objection_url(objection)},
        )
    return proof


# --- Typing a code ----------------------------------------------------------------------------------------------------


def enter_code(proof: MandateProof, typed: str, *, by: User) -> MandateProof:
    """Prove by the code that was received. A wrong try counts, and the last one ends the code."""
    if proof.user_id != by.pk:
        raise MandateRefused("not_yours", "Ce code a été demandé par quelqu’un d’autre.")
    with transaction.atomic():
        now_proved = _try(MandateProof.objects.filter(pk=proof.pk, state=S.PENDING), typed, by=by)
    return _settled(proof.pk, now_proved)


def confirm_case(reference: str, typed: str) -> MandateProof:
    """Prove, without an account, that the town hall received the letter about a dossier prepared for it.

    A try counts against a letter only when the first characters of its code are right: a stranger who knows the
    dossier's reference cannot use up the town hall's tries.
    """
    proof = _letter_of_case(reference, typed, states=[S.PENDING])
    with transaction.atomic():
        now_proved = _try(MandateProof.objects.filter(pk=proof.pk, state=S.PENDING), typed, by=None)
    return _settled(proof.pk, now_proved)


def claim_case(reference: str, typed: str, *, by: User, then: Callable[[MandateProof], None]) -> MandateProof:
    """Give the proofs of a prepared dossier to the person of the town hall who holds its letter.

    Both are needed: the code, and an account attached to the collectivité. `then` hands the dossier itself over, in
    the same transaction; what it raises undoes all of it.
    """
    proof = _letter_of_case(reference, typed, states=[S.PENDING, S.PROVED])
    attached = by.memberships.filter(
        organization=proof.organization_id, state__in=[Membership.State.PENDING, Membership.State.ACTIVE]
    )
    if not attached.exists():
        raise MandateRefused(
            "not_attached",
            "Votre compte ProConnect n’est pas rattaché à la collectivité de cette demande. Connectez-vous avec le "
            f"compte de la collectivité, ou écrivez à {settings.CONTACT_EMAIL}.",
        )
    with transaction.atomic():
        now_proved = _try(MandateProof.objects.filter(pk=proof.pk, state__in=[S.PENDING, S.PROVED]), typed, by=by)
        if now_proved:
            rows = MandateProof.objects.filter(
                case=proof.case, organization=proof.organization_id, user__isnull=True, state__in=MandateProof.LIVE
            )
            # The paper has served: nobody takes the dossier over a second time.
            rows.update(user=by, code_digest="", head_digest="", changed_at=timezone.now())
            note(proof, "claimed", by=by)
            then(proof)
    return _settled(proof.pk, now_proved)


def _letter_of_case(reference: str, typed: str, *, states: list[str]) -> MandateProof:
    letters = MandateProof.objects.filter(
        route=Route.LETTER, case_reference=reference.strip().upper(), user__isnull=True, state__in=states
    ).exclude(case_reference="")
    head = codes.normalise(typed)[: codes.HEAD_LENGTH]
    for proof in letters.order_by("-created_at")[:5]:
        if codes.matches(head, proof.head_digest, str(proof.pk)):
            return proof
    raise MandateRefused(
        "wrong_code",
        "Cette référence et ce code ne vont pas ensemble. Vérifiez-les sur le courrier, ou écrivez à "
        f"{settings.CONTACT_EMAIL}.",
    )


def _try(rows: QuerySet[MandateProof], typed: str, *, by: User | None) -> bool:
    """Count a try and compare, in the caller's transaction; nothing is raised, or the try would be forgotten."""
    now = timezone.now()
    if not rows.filter(tries__lt=TRIES, code_expires_at__gt=now).update(tries=F("tries") + 1):
        return False
    proof = rows.get()  # locked by the update until the transaction ends
    if not codes.matches(typed, proof.code_digest, str(proof.pk)):
        if proof.tries >= TRIES and proof.state == S.PENDING:
            end(proof, S.REVOKED, "Cinq codes inexacts", by=by)
        else:
            note(proof, "wrong_code", by=by, tries=proof.tries)
        return False
    if proof.state == S.PENDING:
        MandateProof.objects.filter(pk=proof.pk).update(
            state=S.PROVED,
            proved_at=now,
            changed_at=now,
            expires_at=now + mandates.LIFE,
            # A prepared dossier's code serves once more, when its person takes it over.
            code_digest=proof.code_digest if proof.case else "",
        )
        erase_letters([proof.pk])
        note(proof, "proved", by=by)
    return True


def _settled(pk: uuid.UUID, now_proved: bool) -> MandateProof:  # noqa: FBT001 - the outcome of a try
    proof = MandateProof.objects.select_related("organization").get(pk=pk)
    if now_proved:
        return proof
    if proof.state == S.PENDING and proof.code_expires_at and proof.code_expires_at <= timezone.now():
        raise MandateRefused("expired", f"Ce code n’est plus valable. Demandez-en un autre. {OTHERS}")
    if proof.state == S.PENDING and proof.tries < TRIES and proof.code_expires_at:
        left = TRIES - proof.tries
        raise MandateRefused(
            "wrong_code",
            f"Ce code n’est pas le bon. Il vous reste {left} essai{'s' if left > 1 else ''}.",
        )
    raise MandateRefused("over", f"Ce code ne peut plus servir. Demandez-en un autre. {OTHERS}")


# --- What the verbs share ---------------------------------------------------------------------------------------------


def contact_of(organization: Organization) -> DeclaredContact:
    """Return the declared contact of a collectivité. Raises MandateRefused when the directory knows none."""
    contact = DeclaredContact.objects.filter(organization=organization).first()
    if contact is None:
        raise MandateRefused(
            "no_contact",
            "L’annuaire public ne donne pas encore le contact de cette mairie. Déposez un document signé du maire, ou "
            f"écrivez à {settings.CONTACT_EMAIL}\u00a0: une personne vous répondra.",
        )
    return contact


def erase_letters(proofs: list[uuid.UUID]) -> None:
    """Forget the codes sealed for letters that nobody will print again."""
    Letter.objects.filter(proof__in=proofs).update(sealed_code="", sealed_objection="")


def _replace(organization: Organization, subject: Subject, route: str, *, by: User) -> None:
    """End what the same person asked before by the same route, and did not finish."""
    for proof in MandateProof.objects.filter(
        subject.rows, organization=organization, route=route, state__in=MandateProof.OPEN
    ):
        end(proof, S.REVOKED, "Remplacée par une nouvelle demande", by=by)


def end(proof: MandateProof, state: str, reason: str, *, by: User | None) -> None:
    """Close an attempt, its code and its letter with it; a replaced document that nobody read is erased."""
    MandateProof.objects.filter(pk=proof.pk).update(
        state=state, reason=reason, code_digest="", head_digest="", changed_at=timezone.now()
    )
    erase_letters([proof.pk])
    for document in Document.objects.filter(proof=proof, decided_at__isnull=True).exclude(stored_name=""):
        if state == S.REVOKED:
            documents.erase_on_commit(document.stored_name)
            Document.objects.filter(pk=document.pk).update(stored_name="", erased_at=timezone.now())
    note(proof, state, by=by)


def _refuse_objected(organization: Organization, subject: Subject) -> None:
    if mandates.open_objections().filter(subject.rows, organization=organization).exists():
        raise MandateRefused(
            "objected",
            "La mairie a contesté une demande faite en son nom : une personne de notre équipe l’examine. Écrivez à "
            f"{settings.CONTACT_EMAIL}.",
        )


def note(proof: MandateProof, kind: str, *, by: User | None, **facts: object) -> Event:
    """Write one event of a proof in the journal; no code, no address, no name."""
    payload = {
        "route": proof.route,
        "organization": proof.organization.code,
        "user": str(proof.user_id) if proof.user_id else None,
        "case": str(proof.case) if proof.case else None,
        **facts,
    }
    return record(STREAM, proof.pk, f"mandate.{kind}", by=by, payload=payload)


def lock(organization: Organization) -> None:
    """One request at a time per collectivité: what is counted must not move under us."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", [f"mandate {organization.pk}"])
