"""The verbs of what is signed: write a text, publish it, accept it, confirm an acceptance."""

import datetime as dt
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone

from onboarding.agreements.digests import digest
from onboarding.agreements.models import Acceptance, Confirmation, PriceLine, Signatory, Text
from onboarding.agreements.texts import in_force, is_firm
from suite.accounts.mandates import Mandate
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.workflow import record

STREAM = "agreement"
SHORTEST_CHECK = 10
FARTHEST = dt.timedelta(days=365)


class AgreementRefused(Exception):
    """An act that was refused: `str()` is the French sentence to show, `field` where it belongs, `http` its status."""

    def __init__(self, sentence: str, field: str = "", http: int = 422) -> None:
        super().__init__(sentence)
        self.field = field
        self.http = http


GONE = "Ce brouillon a été modifié ou publié entre-temps : rechargez la page pour voir où il en est."


class Price(NamedTuple):
    """One line of prices as it is typed; euros."""

    payer: str
    label: str
    amount: Decimal
    unit: str
    note: str


class Draft(NamedTuple):
    """What is typed of a text."""

    title: str
    body: str
    changes: str
    grace_days: int
    prices: tuple[Price, ...] = ()


# --- Writing and publishing -------------------------------------------------------------------------------------------


def owner_of(operator: Operator) -> Operator | None:
    """Return whose texts somebody writes at this operator: the national one writes the model of all."""
    return None if operator.national else operator


@transaction.atomic
def open_draft(operator: Operator, kind: str, *, by: User) -> Text:
    """Return the operator's draft of a document, made from the text in force when there is none yet."""
    owner = owner_of(operator)
    known = Text.objects.filter(operator=owner, kind=kind, published_at__isnull=True)
    if draft := known.first():
        return draft
    base = next((text for text in in_force(operator) if text.kind == kind), None)
    try:
        with transaction.atomic():
            draft = Text.objects.create(
                operator=owner,
                kind=kind,
                title=base.title if base else Text.Kind(kind).label,
                body=base.body if base else "",
                created_by=by,
            )
    except IntegrityError:  # a colleague, a moment before
        return known.get()
    for line in base.prices.all() if base else ():
        PriceLine.objects.create(
            text=draft, position=line.position, payer=line.payer, label=line.label, amount=line.amount,
            unit=line.unit, note=line.note,
        )  # fmt: skip
    record("text", draft.pk, "text.drafted", by=by, payload=_facts(draft))
    return draft


@transaction.atomic
def save_draft(text: Text, typed: Draft, *, revision: int, by: User) -> Text:
    """Store a draft as it is typed. Raises AgreementRefused (409) when a colleague saved it, or published it."""
    rows = Text.objects.filter(pk=text.pk, revision=revision, published_at__isnull=True).update(
        title=typed.title,
        body=typed.body,
        changes=typed.changes,
        grace_days=typed.grace_days,
        revision=F("revision") + 1,
        changed_at=timezone.now(),
    )
    if not rows:
        raise AgreementRefused(GONE, http=409)
    PriceLine.objects.filter(text=text).delete()
    PriceLine.objects.bulk_create(
        PriceLine(text=text, position=position, **line._asdict()) for position, line in enumerate(typed.prices)
    )
    saved = Text.objects.get(pk=text.pk)
    record("text", text.pk, "text.saved", by=by, payload={"revision": saved.revision})
    return saved


@transaction.atomic
def discard(text: Text, *, by: User) -> None:
    """Throw a draft away."""
    facts = _facts(text)
    if not Text.objects.filter(pk=text.pk, published_at__isnull=True).delete()[0]:
        raise AgreementRefused(GONE, http=409)
    record("text", text.pk, "text.discarded", by=by, payload=facts)


@transaction.atomic
def publish(text: Text, *, revision: int, effective_on: dt.date, by: User) -> Text:
    """Make a draft the next version of its document: from then on it never changes."""
    locked = Text.objects.select_for_update().filter(pk=text.pk, revision=revision, published_at__isnull=True).first()
    if locked is None:
        raise AgreementRefused(GONE, http=409)
    today = timezone.localdate()
    if not today <= effective_on <= today + FARTHEST:
        raise AgreementRefused("Choisissez une date d’effet entre aujourd’hui et un an.", "effective_on")
    versions = Text.objects.published().filter(operator=locked.operator, kind=locked.kind)
    last = versions.aggregate(number=Max("number"), effective_on=Max("effective_on"))
    if last["effective_on"] and effective_on < last["effective_on"]:
        raise AgreementRefused(
            f"La version précédente prend effet le {last['effective_on']:%d/%m/%Y} : choisissez cette date ou une "
            "date plus tardive.",
            "effective_on",
        )
    prices = list(locked.prices.all())
    if len(locked.body.strip()) < SHORTEST_CHECK:
        raise AgreementRefused("Ce texte est vide : écrivez-le avant de le publier.", "body")
    if locked.kind == Text.Kind.PRICES and not prices:
        raise AgreementRefused("Ajoutez au moins une ligne de prix, même à 0 € : elle dira que c’est gratuit.", "body")
    if last["number"] and not locked.changes.strip():
        raise AgreementRefused("Dites ce qui change : celles et ceux qui ont accepté le liront.", "changes")
    fixed = digest(locked.kind, locked.title, locked.body, prices)
    if versions.filter(digest=fixed, number=last["number"]).exists():
        raise AgreementRefused("Ce texte est exactement celui de la version précédente.", "body")
    try:
        with transaction.atomic():
            Text.objects.filter(pk=text.pk, revision=revision, published_at__isnull=True).update(
                number=(last["number"] or 0) + 1,
                effective_on=effective_on,
                published_at=timezone.now(),
                published_by=by,
                digest=fixed,
            )
    except IntegrityError:
        raise AgreementRefused(GONE, http=409) from None
    done = Text.objects.get(pk=text.pk)
    record("text", text.pk, "text.published", by=by, payload=_facts(done) | {"digest": fixed, "on": str(effective_on)})
    return done


def _facts(text: Text) -> dict[str, object]:
    return {
        "operator": str(text.operator_id) if text.operator_id else None,
        "kind": text.kind,
        "number": text.number,
    }


# --- Accepting --------------------------------------------------------------------------------------------------------


@transaction.atomic
def accept(  # noqa: PLR0913 - an acceptance has these facts
    organization: Organization,
    texts: Iterable[Text],
    *,
    by: User,
    mandate: Mandate,
    function: str,
    operator: Operator | None,
    name: str = "",
    case: uuid.UUID | None = None,
) -> list[Acceptance]:
    """Accept these very texts in the name of the organization; what the person accepted already stays as it was.

    Raises AgreementRefused when the mandate is not established (below M1), or a text is not one in force.
    """
    if mandate < Mandate.ATTACHED:
        raise AgreementRefused(
            "Votre habilitation à agir pour cette collectivité n’est pas établie : prouvez-la d’abord, par un code "
            "envoyé à la mairie ou par un document signé.",
            http=403,
        )
    if not function.strip():
        raise AgreementRefused("Indiquez votre fonction dans la collectivité.", "function")
    current = {text.pk for text in in_force(operator)}
    done = []
    for text in texts:
        if text.pk not in current:
            raise AgreementRefused(
                "Un texte a changé depuis l’affichage de cette page : relisez-le, puis acceptez-le.", "texts", http=409
            )
        acceptance, created = Acceptance.objects.get_or_create(
            text=text,
            organization=organization,
            user=by,
            mandate=int(mandate),
            case=case,
            defaults={"operator": operator, "digest": text.digest},
        )
        if created:
            Signatory.objects.create(
                acceptance=acceptance, name=(name or by.get_full_name())[:201], function=function.strip()[:100]
            )
            payload = _facts(text) | {
                "text": str(text.pk),
                "organization": organization.code,
                "mandate": int(mandate),
                "digest": text.digest,
            }
            record(STREAM, acceptance.pk, "agreement.accepted", by=by, payload=payload)
        done.append(acceptance)
    return done


@transaction.atomic
def confirm(acceptance: Acceptance, *, by: User, check: str) -> None:
    """Write what an operator's person verified of an M1 acceptance of the convention; a firm one needs nothing."""
    if is_firm(acceptance):
        return
    if len(check.strip()) < SHORTEST_CHECK:
        raise AgreementRefused("Écrivez ce que vous avez vérifié, et auprès de qui.", "check")
    if acceptance.user_id == by.pk:
        raise AgreementRefused("Vous avez vous-même accepté ce texte : un collègue doit le confirmer.", http=403)
    try:
        with transaction.atomic():
            Confirmation.objects.create(acceptance=acceptance, by=by, check_text=check.strip()[:1000])
    except IntegrityError:  # a colleague, a moment before
        return
    record(STREAM, acceptance.pk, "agreement.confirmed", by=by, payload=_facts(acceptance.text))
