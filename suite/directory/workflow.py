"""The verbs of an operator's card: each change is a version kept beside its row, and an event."""

from datetime import datetime
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from suite.directory.models import Operator
from suite.directory.operators import OPERATOR, Card, card_of, dump, load
from suite.journal.workflow import Actor
from suite.trade import workflow as versions
from suite.trade.models import Setting
from suite.trade.registry import Invalid, Problem

NAMED_ALREADY = "Un autre opérateur porte déjà ce nom."
ONE_NATIONAL = "Il y a déjà un opérateur national : il n’y en a qu’un."


@transaction.atomic
def change_operator(operator: Operator, value: object, *, expected: int, by: Actor | None, reason: str) -> Operator:
    """Write another card. Raises `Invalid`, and `Stale` or `Unchanged` of `suite.trade.workflow`."""
    locked = Operator.objects.select_for_update().get(pk=operator.pk)
    card = load(value)
    if card.national != locked.national:
        raise Invalid([Problem(None, "national", "L’opérateur national ne se change pas ici.")])
    versions.save(
        OPERATOR.key, value, expected=expected, by=by, reason=reason, scope=locked.pk, before=dump(card_of(locked))
    )
    return _written(locked.pk, card)


@transaction.atomic
def add_operator(value: object, *, by: Actor | None, reason: str) -> Operator:
    """Add an operator. Raises `Invalid`."""
    card = load(value)
    if card.national and Operator.objects.filter(national=True).exists():
        raise Invalid([Problem(None, "national", ONE_NATIONAL)])
    pk = uuid4()
    versions.save(OPERATOR.key, value, expected=0, by=by, reason=reason, scope=pk)
    return _written(pk, card)


def last_change(operator: Operator) -> tuple[int, datetime | None]:
    """Return the number of the last version and its date; 0 and None while nobody changed the card here."""
    row = Setting.objects.about(OPERATOR.key, operator.pk).first()
    return (row.version, row.recorded_at) if row else (0, None)


def _written(pk: UUID, card: Card) -> Operator:
    """Write the row from the card: names are unique whatever two people do at once."""
    try:
        with transaction.atomic():
            row, _ = Operator.objects.update_or_create(
                pk=pk, defaults={**card._asdict(), "departments": list(card.departments)}
            )
    except IntegrityError as error:
        said = ONE_NATIONAL if "operator_one_national" in str(error) else NAMED_ALREADY
        raise Invalid([Problem(None, "national" if said == ONE_NATIONAL else "name", said)]) from error
    return row
