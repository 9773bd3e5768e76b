"""The public directory's contacts (DILA, « annuaire de l’administration »), read from its JSON export.

The export is a list of records of about 250 MB: it is read piece by piece, and only town halls and EPCI are kept.
Several of its fields are JSON written inside a string. A collectivité with several candidates gets none: a code sent
to the wrong mailbox would prove the wrong thing.
"""

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from suite.directory.folding import fold, fold_epci, words
from suite.directory.models import DeclaredContact, Organization

SOURCE = "Annuaire de l’administration (DILA)"
# The national export has more than 50,000 records (`presence.md`, 4.1): a smaller file is a piece of one.
MINIMUM = 50_000
_CHUNK = 1 << 20
_LONGEST_LINE = 100
# A delegated or secondary town hall is not the commune's own.
_SECONDARY = frozenset({"deleguee", "associee", "annexe", "quartier"})


class ContactsError(Exception):
    """The file is not what it should be; the text says why, in French."""


class Entry(NamedTuple):
    """One record of the file, reduced to what a letter or a message needs."""

    record: str
    name: str
    kind: str  # mairie, epci
    codes: tuple[str, ...]
    siret: str
    emails: tuple[str, ...]
    lines: tuple[str, ...]
    declared_email: str
    declared_site: str


class Report(NamedTuple):
    """What an import found: `issues` counts the collectivités left without a contact, by reason."""

    records: int
    matched: int
    removed: int
    issues: dict[str, int]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of the export, a megabyte of text at a time. Raises ContactsError."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _records(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ContactsError(f"Le fichier {path.name} ne se lit pas comme du texte UTF-8.") from error


def _records(file: TextIO) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    text = file.read(_CHUNK)
    start = text.find("[")  # `[…]`, or `{"service": […]}`
    if start < 0:
        raise ContactsError("Le fichier n’est pas une liste JSON.")
    text = text[start + 1 :]
    while True:
        text = text.lstrip(" \t\r\n,")
        if text.startswith("]"):
            return
        try:
            record, end = decoder.raw_decode(text)
        except json.JSONDecodeError as error:
            more = file.read(max(_CHUNK, len(text)))
            if not more:
                raise ContactsError("Le fichier est coupé ou mal formé : son JSON ne se termine pas.") from error
            text += more
            continue
        if not isinstance(record, dict):
            raise ContactsError("Le fichier contient autre chose que des fiches.")
        yield record
        text = text[end:]


def reduce(record: dict[str, Any]) -> Entry | None:
    """Return the town hall or the EPCI of a record; None for every other service, and for a secondary town hall."""
    pivot = _first(_inner(record.get("pivot")))
    kind = str(pivot.get("type_service_local", ""))
    name = str(record.get("nom") or "")
    if kind not in {"mairie", "epci"} or _SECONDARY & set(words(name.partition(" - ")[0])):
        return None
    codes = pivot.get("code_insee_commune") or []
    siret = "".join(str(record.get("siret") or "").split())
    emails = [part.strip().lower() for part in str(record.get("adresse_courriel") or "").split(";")]
    return Entry(
        record=str(record.get("id") or "")[:60],
        name=name,
        kind=kind,
        codes=tuple(str(code) for code in codes) if isinstance(codes, list) else (str(codes),),
        siret=siret if siret.isascii() and siret.isdigit() else "",
        emails=tuple(dict.fromkeys(email for email in emails if _is_email(email))),
        lines=_lines(_inner(record.get("adresse"))),
        declared_email=next((email for email in emails if email), "")[:320],
        declared_site=str(_first(_inner(record.get("site_internet"))).get("valeur") or "").strip()[:500],
    )


def _inner(value: object) -> list[dict[str, Any]]:
    """Return a list of objects written as JSON in a string, or as itself; anything else is no list."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _first(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return rows[0] if rows else {}


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254  # noqa: PLR2004 - the column's, and SMTP's, size


def _lines(addresses: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the lines under the addressee, none when the postcode or the place is missing: a letter must arrive."""
    ranked = sorted(addresses, key=lambda one: str(one.get("type_adresse")) != "Adresse postale")
    for one in ranked:
        place = " ".join(f"{one.get('code_postal') or ''} {one.get('nom_commune') or ''}".split())
        if one.get("code_postal") and one.get("nom_commune"):
            above = (one.get(key) for key in ("complement1", "complement2", "numero_voie", "service_distribution"))
            rows = [*(" ".join(str(line).split()) for line in above if line), place.upper()]
            return tuple(row[:_LONGEST_LINE] for row in rows)
    return ()


def load(path: Path, *, observed_on: dt.date, minimum: int = MINIMUM) -> Report:
    """Replace the declared contacts by those of the file, whole or not at all. Raises ContactsError."""
    records = 0
    entries: list[Entry] = []
    for record in read(path):
        records += 1
        if (entry := reduce(record)) is not None:
            entries.append(entry)
    if records < minimum:
        raise ContactsError(f"Le fichier compte {records} fiches, il en faut au moins {minimum}.")
    contacts, issues = match(entries)
    with transaction.atomic():
        rows = [
            DeclaredContact(
                organization_id=pk,
                emails=list(entry.emails[:5]),
                address_lines=list(entry.lines),
                declared_email=entry.declared_email,
                declared_site=entry.declared_site,
                source=SOURCE,
                record=entry.record,
                observed_on=observed_on,
                demonstration=False,
            )
            for pk, entry in contacts.items()
        ]
        gone = DeclaredContact.objects.filter(demonstration=False).exclude(organization__in=contacts)
        removed, _ = gone.delete()
        DeclaredContact.objects.bulk_create(
            rows,
            batch_size=2000,
            update_conflicts=True,
            unique_fields=["organization"],
            update_fields=[
                "emails",
                "address_lines",
                "declared_email",
                "declared_site",
                "source",
                "record",
                "observed_on",
                "demonstration",
            ],
        )
    return Report(records, len(rows), removed, dict(issues))


def match(entries: Iterable[Entry]) -> tuple[dict[Any, Entry], Counter[str]]:
    """Return the entry of each current collectivité, by its identifier, and why the others have none."""
    by_code: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    by_siren: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        for code in entry.codes:
            by_code[entry.kind, code].append(entry)
        by_siren[entry.kind, entry.siret[:9]].append(entry)
    matched: dict[Any, Entry] = {}
    issues: Counter[str] = Counter()
    rows = Organization.objects.current().values_list("pk", "kind", "code", "siren", "name")
    for pk, kind, code, siren, name in rows.iterator(chunk_size=5000):
        commune = kind == Organization.Kind.COMMUNE
        sort = "mairie" if commune else "epci"
        # INSEE is more reliable than SIRET there; an EPCI's record names its members' codes, not its own.
        levels = [by_code[sort, code]] if commune else []
        if siren:
            levels.append(by_siren[sort, siren])
        chosen, issue = _choose(levels, name, commune=commune)
        if chosen is None:
            issues[issue] += 1
        elif not chosen.emails and not chosen.lines and not chosen.declared_site:
            issues["fiche sans courriel ni adresse postale"] += 1
        else:
            matched[pk] = chosen
    return matched, issues


def _choose(levels: list[list[Entry]], name: str, *, commune: bool) -> tuple[Entry | None, str]:
    """Take the only candidate of a level, then the only one of that name; several candidates are none."""
    for candidates in levels:
        if len(candidates) == 1:
            return candidates[0], ""
    candidates = list(dict.fromkeys(entry for level in levels for entry in level))
    folded = fold(name) if commune else fold_epci(name)
    named = [one for one in candidates if _named(one, commune=commune) == folded]
    if len(named) == 1:
        return named[0], ""
    return None, "plusieurs fiches possibles" if candidates else "aucune fiche"


def _named(entry: Entry, *, commune: bool) -> str:
    """Return the name a record bears (« Mairie - Rochefort-en-Terre »), folded for comparison."""
    bare = entry.name.partition(" - ")[2] or entry.name
    return fold(bare) if commune else fold_epci(bare)
