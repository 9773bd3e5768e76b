"""Two people's texts of one step brought together: what each changed since the version they both knew.

Three values face each other for each field: `base`, what the person had before its eyes when it began; `stored`, what
somebody saved meanwhile; `typed`. Changed on one side, a field takes that side; changed on both, the person chooses.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from onboarding.intake import contents, moves, workflow
from onboarding.intake.models import Dossier, MailboxRequest, Revision
from onboarding.intake.presentation import complete, label_of, shown
from onboarding.intake.reasons import FIELDS
from suite.accounts.models import User

Values = contents.Values
REMOVED = "(boîte retirée)"
ROW_LABELS = {
    "kind": "type",
    "given_name": "prénom",
    "family_name": "nom",
    "function": "fonction",
    "local_part": "adresse",
    "recovery_email": "adresse de secours",
    "administrator": "administre les boîtes",
    "targets": "destinations",
}


@dataclass(frozen=True)
class Difference:
    """One field told in two ways. `key` names it in the page's form."""

    key: str
    label: str
    mine: str
    theirs: str


@dataclass
class Merged:
    """What the two texts give together. Where they disagree, `values` holds what was typed."""

    values: Values
    differences: list[Difference] = field(default_factory=list)
    closed: list[Difference] = field(default_factory=list)  # typed where nothing may be changed any more
    taken: list[str] = field(default_factory=list)  # what came from the other side, in words

    @property
    def settled(self) -> bool:
        """Whether nobody has to choose."""
        return not self.differences and not self.closed


class Conflict(moves.Refusal):
    """Two people changed the same thing, or the dossier moved on. `dossier` is as it stands."""

    def __init__(self, dossier: Dossier, merged: Merged, sentence: str) -> None:
        super().__init__(sentence)
        self.dossier = dossier
        self.merged = merged


@transaction.atomic
def save(dossier: Dossier, step: int, typed: Values, *, by: User, version: int) -> tuple[Dossier, list[str]]:
    """Save a step typed from `version`, with what others saved since; return the dossier and what is theirs.

    One save at a time: each of twenty people at once finds the one before it. Raises Conflict, and what `save_step`
    raises.
    """
    fresh = complete().select_for_update(of=("self",)).get(pk=dossier.pk)
    if fresh.version == version and fresh.status in moves.SAVE.sources:
        return workflow.save_step(fresh, step, typed, by=by, version=version), []
    moves.authorise(moves.SAVE, fresh, by)
    stored, typed = contents.read(fresh, step), contents.prepare(typed)
    if fresh.status not in moves.SAVE.sources:
        raise Conflict(fresh, merge(None, stored, typed, None), str(moves.WrongState(fresh)))
    open_groups = contents.unlocked(fresh, contents.open_remarks(fresh))
    merged = merge(base_of(fresh, step, version, stored), stored, typed, open_groups)
    if not merged.settled:
        raise Conflict(fresh, merged, str(moves.Stale(fresh)))
    return workflow.save_step(fresh, step, merged.values, by=by, version=fresh.version), merged.taken


def base_of(dossier: Dossier, step: int, version: int, stored: Values) -> Values | None:
    """Return a step as it was at a version, None for a version that never was. One query."""
    if not 1 <= version <= dossier.version:
        return None
    since = Revision.objects.filter(dossier=dossier, step=step, version__gt=version).order_by("version").first()
    if since is None:
        return stored
    return contents.restored(since.before) if since.before is not None else None


def last_of(dossier: Dossier, step: int) -> Revision | None:
    """Return who saved the step last, and when."""
    revisions = Revision.objects.filter(dossier=dossier, step=step).select_related("author")
    return revisions.order_by("-version").first()


# --- Fields -----------------------------------------------------------------------------------------------------------


def merge(base: Values | None, stored: Values, typed: Values, open_groups: Collection[str] | None) -> Merged:
    """Bring two texts of a step together. `open_groups`: what may be changed at all, None for everything."""
    merged = Merged({})
    for name, mine in typed.items():
        theirs = stored.get(name)
        before = base.get(name) if base is not None else None
        if name == "answers":
            known = before if isinstance(before, dict) else None
            parts = merge(known, theirs or {}, mine, None) if mine else Merged({})
            merged.values[name] = parts.values
            merged.differences += [
                Difference(f"answers.{one.key}", "Je maintiens ma réponse", one.mine, one.theirs)
                for one in parts.differences
            ]
        elif not _is_open(name, open_groups):
            merged.values[name] = theirs
            if not _same(mine, theirs) and not (base is not None and _same(mine, before)):
                merged.closed.append(Difference(name, label_of(name), shown(name, mine), shown(name, theirs)))
        elif name == "mailboxes":
            _merge_rows(before if base is not None else None, theirs or [], mine, merged)
        else:
            merged.values[name] = _merge_field(name, mine, theirs, before, known=base is not None, merged=merged)
    return merged


def _merge_field(  # noqa: PLR0913 - three values, and where to say what was found
    name: str, mine: object, theirs: object, before: object, *, known: bool, merged: Merged
) -> object:
    if _same(mine, theirs):
        return theirs
    if known and _same(mine, before):
        merged.taken.append(label_of(name))
        return theirs
    if not (known and _same(theirs, before)):
        merged.differences.append(Difference(name, label_of(name), shown(name, mine), shown(name, theirs)))
    return mine


def _is_open(name: str, open_groups: Collection[str] | None) -> bool:
    group = contents.GROUP_OF.get(name)
    return open_groups is None or group is None or group not in FIELDS or group in open_groups


def _same(one: object, other: object) -> bool:
    """Whether two values say the same, one of them perhaps read back from JSON."""
    return one == other or json.dumps(one, cls=DjangoJSONEncoder) == json.dumps(other, cls=DjangoJSONEncoder)


# --- Mailboxes --------------------------------------------------------------------------------------------------------


def _merge_rows(base: list[Values] | None, stored: list[Values], typed: list[Values], merged: Merged) -> None:
    if contents.same_rows(stored, typed):
        merged.values["mailboxes"] = stored
        return
    before, theirs, mine = _by_id(base or []), _by_id(stored), _by_id(typed)
    kept: dict[str, Values] = {}
    for pk in dict.fromkeys([*theirs, *mine]):
        row = _merge_row(pk, before.get(pk), theirs.get(pk), mine.get(pk), merged)
        if row is not None:
            kept[pk] = row
    moved = [pk for pk in mine if pk in before] != [pk for pk in before if pk in mine]
    order = [*mine, *theirs] if moved else [*theirs, *mine]
    rows = [kept[pk] for pk in dict.fromkeys(order) if pk in kept]
    # A row that the page did not name is new, unless the same was added meanwhile (a doubled click, two tabs).
    added = [{**row, "id": ""} for pk, row in theirs.items() if pk not in before]
    merged.values["mailboxes"] = rows + [row for row in typed if not row["id"] and {**row, "id": ""} not in added]


def _merge_row(
    pk: str, before: Values | None, theirs: Values | None, mine: Values | None, merged: Merged
) -> Values | None:
    """Return what becomes of one row, None when it goes."""
    if theirs is not None and mine is not None:
        return _merge_fields(pk, before, theirs, mine, merged)
    row = theirs or mine
    assert row is not None  # noqa: S101 - it is on one side at least
    if before is None:  # added on one side
        if theirs is not None:
            merged.taken.append(_row_label(row, ""))
        return row
    untouched = _same(row, before)
    if untouched and mine is not None:
        merged.taken.append(_row_label(row, ""))
    if not untouched:  # removed on one side, changed on the other
        told = (row_text(row), REMOVED) if mine is not None else (REMOVED, row_text(row))
        merged.differences.append(Difference(f"mailboxes.{pk}", _row_label(row, ""), *told))
    return mine if not untouched else None


def _merge_fields(pk: str, before: Values | None, theirs: Values, mine: Values, merged: Merged) -> Values:
    row = dict(theirs)
    for name in contents.ROW_FIELDS:
        if mine[name] == theirs[name]:
            continue
        if before is not None and mine[name] == before[name]:
            merged.taken.append(_row_label(theirs, name))
            continue
        row[name] = mine[name]
        if before is None or theirs[name] != before[name]:
            told = (_row_value(name, mine[name]), _row_value(name, theirs[name]))
            merged.differences.append(Difference(f"mailboxes.{pk}.{name}", _row_label(mine, name), *told))
    return row


def _by_id(rows: Iterable[Values]) -> dict[str, Values]:
    return {row["id"]: row for row in rows if row["id"]}


def _row_label(row: Values, name: str) -> str:
    who = row["local_part"] or f"{row['given_name']} {row['family_name']}".strip() or "sans nom"
    return f"Boîte « {who} »" + (f", {ROW_LABELS[name]}" if name else "")


def _row_value(name: str, value: object) -> str:
    if name == "kind":
        return str(dict(MailboxRequest.Kind.choices).get(str(value), value))
    return contents.plain(value)


def row_text(row: Values) -> str:
    """Write a mailbox on one line."""
    told = ("local_part", "given_name", "family_name", "function", "recovery_email", "targets")
    return ", ".join([_row_value("kind", row["kind"]), *(str(row[name]) for name in told if row[name])])


# --- What the person chose --------------------------------------------------------------------------------------------


def resolve(typed: Values, theirs: Values, keys: Collection[str]) -> Values:
    """Return what was typed, with the other side's text for the differences of `keys`; an unknown key is ignored."""
    values = dict(typed)
    for key in keys:
        name, _, rest = key.partition(".")
        if name == "answers" and "answers" in values and rest in theirs.get("answers", {}):
            values["answers"] = {**values["answers"], rest: theirs["answers"][rest]}
        elif name == "mailboxes" and "mailboxes" in values:
            values["mailboxes"] = _resolve_row(values["mailboxes"], _by_id(theirs.get("mailboxes", [])), rest)
        elif not rest and name in values and name in theirs:
            values[name] = theirs[name]
    return values


def _resolve_row(rows: list[Values], theirs: dict[str, Values], key: str) -> list[Values]:
    pk, _, name = key.partition(".")
    other = theirs.get(pk)
    if not name:
        if other is None:
            return [row for row in rows if row["id"] != pk]
        return rows if any(row["id"] == pk for row in rows) else [*rows, other]
    if other is None or name not in contents.ROW_FIELDS:
        return rows
    return [{**row, name: other[name]} if row["id"] == pk else row for row in rows]
