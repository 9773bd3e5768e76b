"""A table of mailboxes read, compared with the list, and shown before anything changes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from onboarding.intake import checks, conflicts, contents, moves, sheets, tables, workflow
from onboarding.intake.models import Dossier, MailboxRequest
from onboarding.intake.request_models import MailboxImport
from onboarding.provisioning import mailbox_names as mailboxes
from suite.accounts.models import User
from suite.directory.folding import fold, words
from suite.journal import workflow as journal

KEPT = timedelta(days=1)
# The titles of the columns, as people write them. Nothing else is read.
COLUMNS = {
    "kind": ("type", "type de boite", "nature"),
    "given_name": ("prenom",),
    "family_name": ("nom", "nom de famille"),
    "function": ("fonction", "service", "fonction ou service"),
    "local_part": ("adresse", "debut de l adresse", "identifiant", "boite"),
    "recovery_email": ("adresse de secours", "secours", "courriel de secours", "email de secours"),
    "targets": ("destinations", "destinataires", "redirection vers", "delegues", "lecteurs"),
}
TITLES = ("type", "prénom", "nom", "fonction", "adresse", "adresse de secours", "destinations")
# A table never gives a right: these are named apart, and left aside.
POWERS = frozenset(
    {
        "statut", "status", "etat", "role", "roles", "droit", "droits", "right", "rights", "admin", "administrateur",
        "administratrice", "administre", "gestionnaire", "is superuser", "is staff", "superuser", "groupe", "groupes",
        "groups", "permissions", "mot de passe", "password",
    }
)  # fmt: skip
KINDS = {
    "": MailboxRequest.Kind.PERSONAL,
    "personnelle": MailboxRequest.Kind.PERSONAL,
    "personnel": MailboxRequest.Kind.PERSONAL,
    "partagee": MailboxRequest.Kind.SHARED,
    "partage": MailboxRequest.Kind.SHARED,
    "redirection": MailboxRequest.Kind.REDIRECT,
}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
SIZES = {
    "given_name": 50,
    "family_name": 50,
    "function": 100,
    "local_part": 200,
    "recovery_email": 254,
    "targets": 1000,
}


@dataclass(frozen=True)
class Line:
    """One line of the table: its number there, what it says by field, and why it is refused, "" when it is not."""

    number: int
    values: dict[str, str]
    refusal: str = ""


@dataclass
class Planned:
    """What one line would do."""

    number: int
    verb: str  # "added", "changed", "same", "refused"
    address: str
    text: str


@dataclass
class Plan:
    """What the whole table would do; `rows` is the list as it would become."""

    lines: list[Planned] = field(default_factory=list)
    rows: list[contents.Values] = field(default_factory=list)

    def count(self, verb: str) -> int:
        """Return how many lines do that."""
        return sum(line.verb == verb for line in self.lines)

    @property
    def useful(self) -> bool:
        """Whether the list would change."""
        return any(line.verb in {"added", "changed"} for line in self.lines)


# --- Reading ----------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> tuple[list[Line], list[str]]:
    """Return the lines of a table and the titles of the columns left aside. Raises tables.Unreadable."""
    every = tables.read(data)
    head = next(place for place, row in enumerate(every) if row)
    titles, rows = every[head], every[head + 1 :]
    found: dict[int, str] = {}
    ignored = []
    for index, title in enumerate(titles):
        known = next((name for name, words in COLUMNS.items() if _words(title) in words), None)
        if known is None or known in found.values():
            ignored += [title[:60]] if title else []
        else:
            found[index] = known
    if not {"local_part", "family_name"} & set(found.values()):
        raise tables.Unreadable(
            "La première ligne doit donner le titre des colonnes, dont au moins « adresse » ou « nom » : partez du "
            "modèle."
        )
    if not rows:
        raise tables.Unreadable("Ce tableau n’a que des titres : ajoutez une ligne par boîte.")
    lines = []
    for number, row in enumerate(rows, start=head + 2):
        values = {name: row[index] for index, name in found.items() if index < len(row) and row[index]}
        if values:
            lines.append(_line(number, values))
    return lines, ignored


def _words(title: str) -> str:
    return " ".join(words(title))


def _line(number: int, values: dict[str, str]) -> Line:
    for name, text in values.items():
        label = conflicts.ROW_LABELS[name]
        if text.startswith(FORMULA):
            return Line(
                number,
                {},
                f"La case « {label} » commence par un signe que les tableurs prennent pour une formule : retirez-le.",
            )
        if len(text) > SIZES.get(name, sheets.CELL):
            return Line(number, {}, f"La case « {label} » est trop longue : {SIZES[name]} caractères au plus.")
    kind = _words(values.get("kind", ""))
    if kind not in KINDS:
        return Line(number, {}, "Le type doit être « personnelle », « partagée » ou « redirection ».")
    if "kind" in values:
        values = {**values, "kind": KINDS[kind].value}
    return Line(number, values)


def powers(ignored: Iterable[str]) -> list[str]:
    """Return those of the columns left aside that would give a right."""
    return [title for title in ignored if _words(title) in POWERS]


# --- Comparing --------------------------------------------------------------------------------------------------------


def plan(dossier: Dossier, lines: Iterable[Line]) -> Plan:
    """Compare a table with the list of the dossier, line by line, by the rules of the form. An empty box says nothing.

    Pure on loaded rows.
    """
    done = Plan(rows=contents.read(dossier, 3)["mailboxes"])
    domains = {choice.fqdn for choice in dossier.names.all() if choice.fqdn}
    places = {row["local_part"]: index for index, row in enumerate(done.rows) if row["local_part"]}
    lines = list(lines)
    asked = [_wanted(line) for line in lines]
    known = {*places, *(address for address in asked if address)}
    met: set[str] = set()
    for line, address in zip(lines, asked, strict=True):
        if line.refusal:
            done.lines.append(Planned(line.number, "refused", address, line.refusal))
            continue
        if address and address in met:
            said = "Cette adresse est déjà plus haut dans le tableau."
            done.lines.append(Planned(line.number, "refused", address, said))
            continue
        met.add(address)
        done.lines.append(_compare(done, line, address, places.get(address), domains=domains, known=known))
    return done


def _wanted(line: Line) -> str:
    address = mailboxes.normalise(line.values.get("local_part", ""))
    personal = line.values.get("kind", MailboxRequest.Kind.PERSONAL) == MailboxRequest.Kind.PERSONAL
    if not address and personal:
        return mailboxes.proposal(line.values.get("given_name", ""), line.values.get("family_name", ""))
    return address


def _compare(  # noqa: PLR0913 - a line, its place, and what surrounds it
    done: Plan, line: Line, address: str, place: int | None, *, domains: set[str], known: Iterable[str]
) -> Planned:
    blank: contents.Values = dict.fromkeys(contents.ROW_FIELDS, "") | {"id": "", "administrator": False}
    before = done.rows[place] if place is not None else {**blank, "kind": MailboxRequest.Kind.PERSONAL.value}
    row = {**before, **line.values, "local_part": address}
    if place is None and len(done.rows) >= checks.MOST_MAILBOXES:
        return Planned(
            line.number, "refused", address, f"La liste est pleine : {checks.MOST_MAILBOXES} boîtes au plus."
        )
    typed = MailboxRequest(**{name: row[name] for name in contents.ROW_FIELDS})
    once = Counter(dict.fromkeys(known, 1))
    problems = [message for _, message in checks.mailbox_problems(typed, domains, once)]
    if problems:
        text = " ".join(message[:1].upper() + message[1:] for message in problems)
        return Planned(line.number, "refused", address, text)
    if place is None:
        done.rows.append(row)
        return Planned(line.number, "added", address, conflicts.row_text(row))
    changes = [name for name in contents.ROW_FIELDS if row[name] != before[name]]
    if not changes:
        return Planned(line.number, "same", address, "Déjà dans la liste, sans changement.")
    done.rows[place] = row
    told = (
        f"{conflicts.ROW_LABELS[name]} : « {before[name] or 'vide'} » devient « {row[name]} »"
        for name in changes
        if name != "kind"
    )
    kinds = [f"type : {MailboxRequest.Kind(row['kind']).label.lower()}"] if "kind" in changes else []
    return Planned(line.number, "changed", address, " ; ".join([*kinds, *told]))


# --- The verbs --------------------------------------------------------------------------------------------------------


@transaction.atomic
def keep(dossier: Dossier, data: bytes, *, by: User) -> MailboxImport:
    """Read a table and keep it until it is confirmed; the dossier does not change. Raises Unreadable, WrongState."""
    moves.authorise(moves.SAVE, dossier, by)
    if dossier.status not in moves.SAVE.sources:
        raise moves.WrongState(dossier)
    lines, ignored = parse(data)
    kept = MailboxImport.objects.create(
        dossier=dossier, version=dossier.version, author=by, rows=[asdict(line) for line in lines], ignored=ignored
    )
    payload = {"dossier": str(dossier.pk), "lines": len(lines), "powers_left_aside": len(powers(ignored))}
    journal.record("mailbox_import", kept.pk, "read", by=by, payload=payload)
    return kept


def lines_of(kept: MailboxImport) -> list[Line]:
    """Return the lines that were read."""
    rows: list[dict[str, Any]] = kept.rows
    return [Line(row["number"], row["values"], row["refusal"]) for row in rows]


@transaction.atomic
def apply(kept: MailboxImport, dossier: Dossier, *, by: User, version: int) -> Plan:
    """Put the table in the list, as its page of this very version showed it. Raises what `save_step` raises."""
    fresh = Dossier.objects.prefetch_related("names", "mailboxes").select_for_update().get(pk=dossier.pk)
    if fresh.version != version:
        raise moves.Stale(fresh)
    claimed = MailboxImport.objects.filter(pk=kept.pk, applied_at__isnull=True).update(applied_at=timezone.now())
    if not claimed:
        raise moves.WrongState(fresh)
    made = plan(fresh, lines_of(kept))
    workflow.save_step(fresh, 3, {"mailboxes": made.rows}, by=by, version=version)
    counts = {verb: made.count(verb) for verb in ("added", "changed", "same", "refused")}
    journal.record("mailbox_import", kept.pk, "applied", by=by, payload={"dossier": str(dossier.pk), **counts})
    return made


def purge() -> int:
    """Erase the tables that are a day old; return how many."""
    deleted, _ = MailboxImport.objects.filter(created_at__lte=timezone.now() - KEPT).delete()
    return deleted


def template(dossier: Dossier) -> str:
    """Return a CSV table to fill in, with the list as it is: what French spreadsheets open by a double click."""
    kinds = {value: fold(str(label)) for value, label in MailboxRequest.Kind.choices}
    rows = [
        (
            kinds.get(row.kind, row.kind), row.given_name, row.family_name, row.function, row.local_part,
            row.recovery_email, row.targets,
        )
        for row in dossier.mailboxes.all()
    ]  # fmt: skip
    lines = [";".join(_cell(cell) for cell in row) for row in [TITLES, *rows]]
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def _cell(text: str) -> str:
    """Write a cell that no spreadsheet runs."""
    plain = f"'{text}" if text.startswith(FORMULA) else text
    return '"' + plain.replace('"', '""') + '"'
