"""A territory put into the database: whole or not at all, keeping the rows that other tables refer to.

COPY into temporary tables, then a handful of statements that touch only what differs. What the file no longer has is
never deleted: a commune that joined another is closed with its successor; one that vanished unexplained stops the
import, and the override table is where to explain it.
"""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from suite.directory.folding import fold, fold_epci
from suite.directory.models import ImportRun
from suite.directory.snapshot import Merger, SnapshotError, Territory, Vintage

_LOCK = 0x7E221701  # any number, the same for all imports


class Changes(NamedTuple):
    """What an import did, in rows."""

    organizations_added: int
    organizations_changed: int
    organizations_closed: int
    names_added: int
    names_changed: int
    names_removed: int
    departments: int

    @property
    def any(self) -> bool:
        return sum(self) > 0


class _Row(NamedTuple):
    kind: str
    code: str
    siren: str | None
    name: str
    nature: str
    zone: str
    department: str | None
    departments: list[str]
    postcodes: list[str]
    population: int | None
    population_year: int | None
    epci: str | None
    successor: str | None
    closed_on: dt.date | None


_TABLES = """
CREATE TEMPORARY TABLE t_department (code text PRIMARY KEY, name text, region text) ON COMMIT DROP;
CREATE TEMPORARY TABLE t_organization (
    kind text, code text, siren text, name text, nature text, zone text, department text, departments text[],
    postcodes text[], population int, population_year int, epci text, successor text, closed_on date,
    PRIMARY KEY (kind, code)
) ON COMMIT DROP;
CREATE TEMPORARY TABLE t_name (
    organization_kind text, organization_code text, kind text, code text, name text, folded text
) ON COMMIT DROP;
CREATE TEMPORARY TABLE t_wanted (
    organization_id uuid, kind text, code text, name text, folded text, PRIMARY KEY (organization_id, kind, code)
) ON COMMIT DROP;
"""

_DEPARTMENTS = """
INSERT INTO directory_department AS d (code, name, region) SELECT code, name, region FROM t_department
ON CONFLICT (code) DO UPDATE SET name = excluded.name, region = excluded.region
WHERE (d.name, d.region) IS DISTINCT FROM (excluded.name, excluded.region)
"""

_ADD = """
INSERT INTO directory_organization
    (id, kind, code, siren, name, nature, zone, department_id, departments, postcodes, population, population_year,
     epci_id, successor_id, closed_on)
SELECT gen_random_uuid(), t.kind, t.code, t.siren, t.name, t.nature, t.zone, t.department, t.departments, t.postcodes,
       t.population, t.population_year, e.id, NULL, NULL
FROM t_organization t LEFT JOIN directory_organization e ON e.kind = 'epci' AND e.code = t.epci
WHERE t.kind = %s AND NOT EXISTS (SELECT FROM directory_organization o WHERE o.kind = t.kind AND o.code = t.code)
"""

# A SIREN may pass from one row to another: free it first, uniqueness is checked row by row.
_FREE_SIREN = """
UPDATE directory_organization o SET siren = NULL FROM t_organization t
WHERE o.siren = t.siren AND (o.kind, o.code) <> (t.kind, t.code)
"""

_CHANGE = """
UPDATE directory_organization o SET
    siren = t.siren, name = t.name, nature = t.nature, zone = t.zone, department_id = t.department,
    departments = t.departments, postcodes = t.postcodes, population = t.population,
    population_year = t.population_year, epci_id = e.id, successor_id = s.id, closed_on = t.closed_on
FROM t_organization t
LEFT JOIN directory_organization e ON e.kind = 'epci' AND e.code = t.epci
LEFT JOIN directory_organization s ON s.kind = t.kind AND s.code = t.successor
WHERE o.kind = t.kind AND o.code = t.code AND t.closed_on IS {closed} AND
    (o.siren, o.name, o.nature, o.zone, o.department_id, o.departments::text[], o.postcodes::text[], o.population,
     o.population_year, o.epci_id, o.successor_id, o.closed_on)
    IS DISTINCT FROM
    (t.siren, t.name, t.nature, t.zone, t.department, t.departments, t.postcodes, t.population, t.population_year,
     e.id, s.id, t.closed_on)
"""

# What is in the database, open, and not in the file; with the commune it joined when the file says so.
_MISSING = """
SELECT o.id, o.kind, o.code, o.name, (
    SELECT n.organization_code FROM t_name n
    WHERE o.kind = 'commune' AND n.kind IN ('deleguee', 'associee', 'ancienne') AND n.code = o.code LIMIT 1)
FROM directory_organization o LEFT JOIN t_organization t ON t.kind = o.kind AND t.code = o.code
WHERE t.code IS NULL AND o.closed_on IS NULL ORDER BY o.kind, o.code
"""

_CLOSE = """
UPDATE directory_organization o SET successor_id = s.id, closed_on = %s, epci_id = NULL
FROM directory_organization s WHERE o.id = %s AND s.kind = o.kind AND s.code = %s
"""

_WANTED = """
INSERT INTO t_wanted SELECT o.id, n.kind, n.code, n.name, n.folded
FROM t_name n JOIN directory_organization o ON o.kind = n.organization_kind AND o.code = n.organization_code
"""

_REMOVE_NAMES = """
DELETE FROM directory_name n USING directory_organization o JOIN t_organization t ON t.kind = o.kind AND t.code = o.code
WHERE n.organization_id = o.id AND NOT EXISTS (
    SELECT FROM t_wanted w WHERE w.organization_id = n.organization_id AND w.kind = n.kind AND w.code = n.code)
"""

_CHANGE_NAMES = """
UPDATE directory_name n SET name = w.name, folded = w.folded FROM t_wanted w
WHERE w.organization_id = n.organization_id AND w.kind = n.kind AND w.code = n.code
    AND (n.name, n.folded) IS DISTINCT FROM (w.name, w.folded)
"""

_ADD_NAMES = """
INSERT INTO directory_name (organization_id, kind, code, name, folded)
SELECT w.organization_id, w.kind, w.code, w.name, w.folded FROM t_wanted w
WHERE NOT EXISTS (SELECT FROM directory_name n
                  WHERE n.organization_id = w.organization_id AND n.kind = w.kind AND n.code = w.code)
"""


@transaction.atomic
def load(territory: Territory, mergers: tuple[Merger, ...], digest: str) -> Changes:
    """Bring the database to what the territory says and record the run. One import at a time; others wait.

    Raises SnapshotError, and changes nothing, when an organization vanished without a successor.
    """
    rows, names = _rows(territory, mergers)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("DROP TABLE IF EXISTS t_department, t_organization, t_name, t_wanted")
        cursor.execute(_TABLES)
        regions = {region.code: region.name for region in territory.regions}
        _copy(cursor, "t_department", [(d.code, d.name, regions[d.region]) for d in territory.departments])
        _copy(cursor, "t_organization", rows)
        _copy(cursor, "t_name", names)
        cursor.execute("ANALYZE t_organization; ANALYZE t_name")
        departments = _run(cursor, _DEPARTMENTS)
        cursor.execute(_FREE_SIREN)
        added = _run(cursor, _ADD, "epci") + _run(cursor, _ADD, "commune")
        if added:
            # Without it the planner believes the table as empty as it was, and the next statements crawl.
            cursor.execute("ANALYZE directory_organization")
        closed = _close_missing(cursor, territory.vintage, mergers)
        closed += _run(cursor, _CHANGE.format(closed="NOT NULL"))
        changed = _run(cursor, _CHANGE.format(closed="NULL"))
        cursor.execute(_WANTED)
        cursor.execute("ANALYZE t_wanted")
        changes = Changes(
            organizations_added=added,
            organizations_changed=changed,
            organizations_closed=closed,
            names_removed=_run(cursor, _REMOVE_NAMES),
            names_changed=_run(cursor, _CHANGE_NAMES),
            names_added=_run(cursor, _ADD_NAMES),
            departments=departments,
        )
        if changes.any:
            # What was just written sits in the index's waiting list, where the planner finds it too dear to read.
            cursor.execute("SELECT gin_clean_pending_list('name_folded_trigram')")
            cursor.execute("ANALYZE directory_organization; ANALYZE directory_name")
    ImportRun.objects.create(
        source=territory.source, vintage=territory.vintage.label, digest=digest, changes=changes._asdict()
    )
    return changes


def _run(cursor: CursorWrapper, statement: str, *values: str | uuid.UUID) -> int:
    cursor.execute(statement, values or None)
    return int(cursor.rowcount)


def _copy(cursor: CursorWrapper, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _close_missing(cursor: CursorWrapper, vintage: Vintage, mergers: tuple[Merger, ...]) -> int:
    """Close what the file no longer has, with its successor. Raises SnapshotError when there is none."""
    explained = {(merger.kind, code): merger for merger in mergers for code in merger.replaced}
    cursor.execute(_MISSING)
    missing = cursor.fetchall()
    for pk, kind, code, name, joined in missing:
        merger = explained.get((kind, code))
        successor, date = (merger.code, merger.date) if merger else (joined, f"{vintage.label}-01-01")
        if not successor or _run(cursor, _CLOSE, date, pk, successor) == 0:
            raise SnapshotError(
                "communes.json" if kind == "commune" else "epci.json",
                f"{name} ({code})",
                "présente dans l’annuaire, absente du fichier, et sans successeur connu. "
                "Ajoutez sa fusion, datée et sourcée, à overrides.json.",
            )
    return len(missing)


def _rows(territory: Territory, mergers: tuple[Merger, ...]) -> tuple[list[_Row], list[tuple[object, ...]]]:
    """Lay out what the tables should hold, mergers applied: old rows closed, members moved, successors summed."""
    epci = {row.siren: row for row in territory.epci}
    successor: dict[str, Merger] = {}
    for merger in mergers:
        present = [code for code in merger.replaced if code in epci]
        if merger.kind != "epci" or not present:
            continue
        successor |= dict.fromkeys(present, merger)
        if merger.code not in epci:
            total = sum(epci[code].population for code in present)
            epci[merger.code] = epci[present[0]]._replace(
                siren=merger.code, name=merger.name, nature=merger.nature, population=total
            )
    members: dict[str, Counter[str]] = {}
    organizations: list[_Row] = []
    names: list[tuple[object, ...]] = []
    for commune in territory.communes:
        at = commune.epci
        for code in {at, successor[at].code if at in successor else at} - {None}:
            members.setdefault(code or "", Counter())[commune.department] += commune.population or 0
        joined = successor[at].code if at in successor else at
        year = _year(territory.vintage, territory.vintage.commune, commune.population, commune.zone, commune.department)
        organizations.append(
            _Row(
                "commune", commune.code, commune.siren, commune.name, "COM", commune.zone, commune.department,
                [commune.department], list(commune.postcodes), commune.population,
                year, joined, None, None,
            )
        )  # fmt: skip
        names.append(("commune", commune.code, "current", commune.code, commune.name, fold(commune.name)))
    for row in epci.values():
        # The département of an EPCI is the one where most of its inhabitants live; it may straddle several.
        where = members.get(row.siren, Counter[str]())
        main = max(where, key=lambda code: (where[code], code), default=None)
        merged = successor.get(row.siren)
        organizations.append(
            _Row(
                "epci", row.siren, row.siren, row.name, row.nature, "", main, sorted(where), [], row.population,
                _year(territory.vintage, territory.vintage.epci, row.population, "", main or ""), None,
                merged.code if merged else None, dt.date.fromisoformat(merged.date) if merged else None,
            )
        )  # fmt: skip
        names.append(("epci", row.siren, "current", row.siren, row.name, fold_epci(row.name)))
    names += [("commune", past.parent, past.kind, past.code, past.name, fold(past.name)) for past in territory.past]
    return organizations, names


def _year(vintage: Vintage, year: int, population: int | None, *places: str) -> int | None:
    if population is None:
        return None
    for place in places:
        if place in vintage.exceptions:
            return vintage.exceptions[place]
    return year
