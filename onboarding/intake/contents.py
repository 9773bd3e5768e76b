"""The five steps as plain values: read from the rows, and written back. Only `workflow` calls `write`."""

import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import QuerySet

from onboarding.intake import names
from onboarding.intake.models import Dossier, MailboxRequest, NameChoice, Remark, RequestedService
from onboarding.intake.reasons import COLUMNS
from onboarding.intake.suggestions import extension_of
from onboarding.provisioning import mailbox_names as mailboxes

# A step's values by form field: text, booleans, numbers, dates, and for step 3 a list of rows.
Values = dict[str, Any]

TITLES = {
    1: "Votre commune et son éligibilité",
    2: "Votre nom de domaine",
    3: "Vos boîtes aux lettres",
    4: "Stockage et services",
    5: "Vérifier et transmettre",
}
STEP_COLUMNS: dict[int, tuple[str, ...]] = {
    1: COLUMNS["requester"],
    2: ("family", "accepts_alternatives", *COLUMNS["justification"], *COLUMNS["dns"]),
    3: (),
    4: (*COLUMNS["storage"], *COLUMNS["contacts"]),
    5: ("declares_exact", "declares_mandate", "accepts_terms", "terms_version"),
}
NAME_FIELDS = ("name", "alternative_1", "alternative_2", "alternative_3")
ROW_FIELDS = (
    "kind",
    "given_name",
    "family_name",
    "function",
    "local_part",
    "recovery_email",
    "administrator",
    "targets",
)
GROUP_OF = {column: group for group, columns in COLUMNS.items() for column in columns}


def read(dossier: Dossier, step: int) -> Values:
    """Return what is stored of a step, in the shape `write` takes."""
    values: Values = {column: getattr(dossier, column) for column in STEP_COLUMNS[step]}
    if step == 2:  # noqa: PLR2004 - the steps are numbered on the page
        typed = {choice.rank: choice.typed for choice in dossier.names.all()}
        values |= {field: typed.get(rank, "") for rank, field in enumerate(NAME_FIELDS)}
    elif step == 3:  # noqa: PLR2004
        values["mailboxes"] = [
            {"id": str(row.pk), **{field: getattr(row, field) for field in ROW_FIELDS}}
            for row in dossier.mailboxes.all()
        ]
    elif step == 4:  # noqa: PLR2004
        values["services"] = sorted(row.service_id for row in dossier.requested_services.all())
    elif step == 5:  # noqa: PLR2004
        values["answers"] = {str(remark.pk): remark.answer for remark in open_remarks(dossier)}
    return values


def prepare(values: Values) -> Values:
    """Return the values as they will be stored: mailboxes with their address normalised, or proposed when empty."""
    if "mailboxes" not in values:
        return values
    rows = []
    for row in values["mailboxes"]:
        local_part = mailboxes.normalise(row["local_part"])[: mailboxes.LONGEST]
        if not local_part and row["kind"] == MailboxRequest.Kind.PERSONAL:
            local_part = mailboxes.proposal(row["given_name"], row["family_name"])
        rows.append({**row, "local_part": local_part})
    return {**values, "mailboxes": rows}


def restored(values: Values) -> Values:
    """Return values that were kept as JSON as they were: dates are dates again."""
    day = values.get("mail_switch_on")
    return {**values, "mail_switch_on": dt.date.fromisoformat(day)} if isinstance(day, str) and day else values


def difference(stored: Values, values: Values) -> list[str]:
    """Return the fields that change; a new mailbox row has no identity yet and always counts."""
    return [field for field, value in values.items() if stored.get(field) != value]


def same_rows(stored: list[Values], rows: list[Values]) -> bool:
    """Whether two lists of mailboxes say the same thing, whatever the identity of their rows."""
    return [{**row, "id": ""} for row in stored] == [{**row, "id": ""} for row in rows]


def groups(fields: list[str]) -> set[str]:
    """Return the groups (see `reasons.FIELDS`) the fields belong to; a declaration belongs to none."""
    return {GROUP_OF[field] for field in fields if field in GROUP_OF}


def columns(values: Values) -> Values:
    """Return those of the values that are columns of the dossier."""
    known = {column for step in STEP_COLUMNS.values() for column in step}
    return {field: value for field, value in values.items() if field in known}


def write(dossier: Dossier, values: Values) -> None:
    """Store the values that are rows; the columns went in the transition's own statement."""
    if "name" in values:
        _write_names(dossier, values)
    if "mailboxes" in values:
        _write_mailboxes(dossier, values["mailboxes"])
    if "services" in values:
        RequestedService.objects.filter(dossier=dossier).delete()
        RequestedService.objects.bulk_create(
            RequestedService(dossier=dossier, service_id=service) for service in values["services"]
        )
    for pk, answer in values.get("answers", {}).items():
        open_remarks(dossier).filter(pk=pk).update(answer=answer)


def _write_names(dossier: Dossier, values: Values) -> None:
    extension = extension_of(values["family"])
    NameChoice.objects.filter(dossier=dossier).delete()
    rows = []
    for rank, field in enumerate(NAME_FIELDS):
        if values[field]:
            fqdn = names.normalise(values[field], default_extension=extension)[:253]
            rows.append(
                NameChoice(dossier=dossier, rank=rank, typed=values[field], fqdn=fqdn, skeleton=names.skeleton(fqdn))
            )
    NameChoice.objects.bulk_create(rows)


def _write_mailboxes(dossier: Dossier, rows: list[Values]) -> None:
    known = {str(pk) for pk in MailboxRequest.objects.filter(dossier=dossier).values_list("pk", flat=True)}
    MailboxRequest.objects.filter(dossier=dossier).delete()
    built = []
    for position, row in enumerate(rows):
        pk = row["id"] if row["id"] in known else str(uuid.uuid4())
        known.discard(pk)
        built.append(
            MailboxRequest(pk=pk, dossier=dossier, position=position, **{field: row[field] for field in ROW_FIELDS})
        )
    MailboxRequest.objects.bulk_create(built)


def open_remarks(dossier: Dossier) -> QuerySet[Remark]:
    """Return the corrections asked and not answered yet; there are none, and no query, in other states."""
    if dossier.status != Dossier.Status.NEEDS_CHANGES:
        return Remark.objects.none()
    return Remark.objects.filter(dossier=dossier, closed_at__isnull=True)


def still_open(dossier: Dossier) -> list[Remark]:
    """Return the same among the rows that the dossier was loaded with."""
    waits = dossier.status == Dossier.Status.NEEDS_CHANGES
    return [remark for remark in dossier.remarks.all() if remark.closed_at is None] if waits else []


def unlocked(dossier: Dossier, remarks: Iterable[Remark]) -> frozenset[str] | None:
    """Return the groups the requester may change, those of the open corrections; None means all of them (a draft)."""
    if dossier.status == Dossier.Status.DRAFT:
        return None
    return frozenset(group for remark in remarks for group in remark.fields)


def open_rows(remarks: Iterable[Remark]) -> frozenset[str] | None:
    """Return the mailboxes that may be changed in an open list, by identity; None: the whole list, rows added too."""
    about = [remark for remark in remarks if "mailboxes" in remark.fields]
    if not about or any(not remark.rows for remark in about):
        return None
    return frozenset(pk for remark in about for pk in remark.rows)


def closed_rows_stand(stored: list[Values], typed: list[Values], opened: Collection[str] | None) -> bool:
    """Whether only open mailboxes differ: they may change and go; the others stay as they are, and none is new."""
    if opened is None:
        return True
    kept = [row["id"] for row in typed]
    closed = [[row for row in rows if row["id"] not in opened] for rows in (stored, typed)]
    return closed[0] == closed[1] and kept == [row["id"] for row in stored if row["id"] in kept]


def corrects(remark: Remark, changed: list[str], stored: Values, values: Values) -> bool:
    """Whether what changed is what the remark asks about: of a list of mailboxes, one that it names."""
    asked = groups(changed) & set(remark.fields)
    if asked != {"mailboxes"} or not remark.rows:
        return bool(asked)
    before, after = ({row["id"]: row for row in rows["mailboxes"]} for rows in (stored, values))
    return any(before.get(pk) != after.get(pk) for pk in remark.rows)


def row_label(row: MailboxRequest) -> str:
    """Return how to call a mailbox among its list."""
    return row.local_part or f"{row.given_name} {row.family_name}".strip() or row.function or "sans adresse"


def plain(value: object) -> str:
    """Write a stored value for a reader who compares two versions."""
    if isinstance(value, bool):
        return "Oui" if value else "Non"
    if isinstance(value, dt.date):
        return value.strftime("%d/%m/%Y")
    return "" if value is None else str(value)
