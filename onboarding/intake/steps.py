"""What a step's page sends: the pressed buttons, the closed fields that a browser leaves out, and the way back."""

from collections.abc import Iterable
from typing import Any

from django.http import QueryDict

from onboarding.intake import checks, contents
from onboarding.intake.forms import AnyStepForm, MailboxesForm
from onboarding.intake.models import Dossier, MailboxRequest, Remark

LAST = 5
# Ready-made shared mailboxes: the button's value, which is the address, and the words.
TEMPLATES = {
    "mairie": "Mairie",
    "accueil": "Accueil",
    "etat-civil": "État civil",
    "urbanisme": "Urbanisme",
    "elus": "Élus",
}
ALL_TEMPLATES = "add-usual"
# The page that settles a conflict comes back as it was: nothing is added or removed twice.
KEEP = "keep"
CHOICE = "choix-"
BLANK: contents.Values = dict.fromkeys(contents.ROW_FIELDS, "") | {"id": "", "administrator": False}


def acted(values: contents.Values, action: str) -> contents.Values:
    """Return the values with what the pressed button adds, removes, moves or chooses."""
    if action.startswith("use-") and "name" in values:
        family = values["family"] or Dossier.Family.SHARED  # what is proposed to somebody who has not chosen yet
        return {**values, "name": action.removeprefix("use-")[:253], "family": family}
    if action.startswith("also-") and "name" in values:
        empty = next((field for field in contents.NAME_FIELDS[1:] if not values[field]), None)
        return {**values, empty: action.removeprefix("also-")[:253]} if empty else values
    if "mailboxes" not in values:
        return values
    rows = _rows(values["mailboxes"], action)
    return {**values, "mailboxes": rows[: checks.MOST_MAILBOXES + 1]}


def _rows(rows: list[contents.Values], action: str) -> list[contents.Values]:
    verb, _, index = action.partition("-")
    if verb == "remove":
        return [row for position, row in enumerate(rows) if str(position) != index]
    if verb in {"up", "down"}:
        return _moved(rows, index, -1 if verb == "up" else 1)
    if action == ALL_TEMPLATES:
        known = {row["local_part"] for row in rows}
        return [*rows, *(_template(code) for code in TEMPLATES if code not in known)]
    kind, _, template = index.partition("-")
    if verb == "add" and kind in MailboxRequest.Kind.values:
        return [*rows, {**(_template(template) if template in TEMPLATES else BLANK), "kind": kind}]
    if action == KEEP:
        return rows
    typed = [field for field in contents.ROW_FIELDS if field not in {"kind", "administrator"}]
    return [row for row in rows if any(row[field] for field in typed)]


def _template(code: str) -> contents.Values:
    return BLANK | {"kind": MailboxRequest.Kind.SHARED, "local_part": code, "function": TEMPLATES[code]}


def _moved(rows: list[contents.Values], index: str, by: int) -> list[contents.Values]:
    place = int(index) if index.isdecimal() and len(index) < 4 else -1  # noqa: PLR2004 - more than any list holds
    if not (0 <= place < len(rows) and 0 <= place + by < len(rows)):
        return rows
    moved = list(rows)
    moved[place], moved[place + by] = moved[place + by], moved[place]
    return moved


def first_row(dossier: Dossier, stored: contents.Values) -> contents.Values:
    """Propose the requester's own mailbox to somebody who starts the list; nothing is stored by looking."""
    if stored.get("mailboxes") != []:
        return stored
    first = BLANK | {
        "kind": MailboxRequest.Kind.PERSONAL,
        "given_name": dossier.requester_given_name,
        "family_name": dossier.requester_family_name,
        "recovery_email": dossier.requester_email,
        "administrator": True,
    }
    return {"mailboxes": [first]}


def as_data(step: int, stored: contents.Values) -> QueryDict:
    """Return stored values as if they had been posted, so that a form may show what is wrong with them."""
    data = QueryDict(mutable=True)
    rows = stored.get("mailboxes")
    flat: dict[str, Any] = stored
    if step == MailboxesForm.step and rows is not None:
        flat = {f"mailboxes-{index}-{field}": value for index, row in enumerate(rows) for field, value in row.items()}
        data["rows"] = str(len(rows))
    for field, value in flat.items():
        if isinstance(value, list):
            data.setlist(field, [str(item) for item in value])
        elif isinstance(value, dict):  # the answers, each under its remark's name
            for key, text in value.items():
                data[f"answer-{key}"] = text
        elif value not in (None, False, "") or field == "mail_in_use":
            data[field] = "" if value is None else str(value)
    return data


def with_closed(
    posted: QueryDict, step: int, stored: contents.Values, dossier: Dossier, remarks: Iterable[Remark]
) -> QueryDict:
    """Return what was posted, completed with the closed fields and boxes, which a browser does not send."""
    remarks = list(remarks)
    open_groups = contents.unlocked(dossier, remarks)
    if open_groups is None:
        return posted
    data = posted.copy()
    kept = as_data(step, stored)
    if step == MailboxesForm.step:
        if "rows" not in posted:
            return data if "mailboxes" in open_groups else kept
        opened = contents.open_rows(remarks) if "mailboxes" in open_groups else frozenset()
        return data if opened is None else _with_closed_rows(data, stored["mailboxes"], opened)
    for field in stored:
        if contents.GROUP_OF.get(field, "") not in {*open_groups, ""} and field not in posted:
            data.setlist(field, kept.getlist(field))
    return data


def _with_closed_rows(data: QueryDict, stored: list[contents.Values], opened: frozenset[str]) -> QueryDict:
    """Complete the closed boxes, each known by its identity: only what a browser leaves out is filled in."""
    closed = {row["id"]: row for row in stored if row["id"] not in opened}
    for name, pk in list(data.items()):
        prefix, _, last = name.rpartition("-")
        row = closed.get(str(pk)) if last == "id" else None
        for field in contents.ROW_FIELDS if row else ():
            if row and row[field] and f"{prefix}-{field}" not in data:
                data[f"{prefix}-{field}"] = str(row[field])
    return data


def chosen(posted: QueryDict) -> list[str]:
    """Return the differences for which the other side's text was preferred on the page of a conflict."""
    return [name.removeprefix(CHOICE) for name in posted if name.startswith(CHOICE) and posted[name] == "theirs"]


def carried(step: int, values: contents.Values, form: AnyStepForm) -> list[tuple[str, str]]:
    """Return what the page of a conflict sends again: the values, and as typed the texts that could not be read."""
    data = as_data(step, values)
    if isinstance(form, MailboxesForm):
        return [(name, value) for name, texts in data.lists() for value in texts]
    for field in form.errors:
        if field in form.data:
            data.setlist(field, form.data.getlist(field))
    return [(name, value) for name, texts in data.lists() for value in texts]
