"""Search as people type: names with or without accents, former names, postcodes, INSEE, SIREN, SIRET; few queries.

Tiers, best first: exact identifier; exact name; exact postcode; name starting so; every word a prefix; resembling.
Inside a tier: today's communes, today's EPCI, then the past; the most populated first, then by code. An exact
small-town name is therefore never passed by a larger partial match.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from django.db import connection
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from suite.directory import lookup
from suite.directory.folding import fold, fold_epci, names_an_epci, words
from suite.directory.identifiers import is_insee
from suite.directory.lookup import Match
from suite.directory.models import Name, Organization

LONGEST = 100
SHORTEST = 2
_MOST_WORDS = 8
_ALIKE = 0.35


class Tier(IntEnum):
    """How well a hit answers."""

    IDENTIFIER = 1
    EXACT = 2
    POSTCODE = 3
    STARTS = 4
    WORDS = 5
    ALIKE = 6


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: a collectivité of today, or the name of the past (`match.past`) by which it was found."""

    match: Match
    tier: Tier

    @property
    def organization(self) -> Organization:
        return self.match.organization

    @property
    def name(self) -> str:
        return self.match.name

    @property
    def code(self) -> str:
        return self.match.code

    @property
    def past(self) -> Name | None:
        return self.match.past

    @property
    def postcodes(self) -> str:
        """The postcodes, the first three of many."""
        found = self.organization.postcodes
        return ", ".join(found[:3]) + ("…" if len(found) > 3 else "")  # noqa: PLR2004 - a line's worth


def search(query: str, limit: int = 10) -> list[Hit]:
    """Return the best hits, at most `limit`. Never raises on what people type; at most three queries."""
    text = query[:LONGEST].replace("\x00", " ").strip()
    code = lookup.compact(text)
    if not code:
        return []
    if is_insee(code):
        return _by_code_and_postcode(code, limit)
    if code.isascii() and code.isdigit():
        if SHORTEST <= len(code) < 5:  # noqa: PLR2004 - a postcode's length
            return _by_postcode(Q(listed__startswith=f"{{{code}") | Q(listed__contains=f",{code}"), limit)
        return [Hit(match, Tier.IDENTIFIER) for match in lookup.by_code(code)]
    return _by_name(text, limit)


def _by_code_and_postcode(code: str, limit: int) -> list[Hit]:
    """Look for five characters as an INSEE code and as a postcode: thousands of strings are both."""
    exact = [Hit(match, Tier.IDENTIFIER) for match in lookup.by_code(code)]
    seen = {hit.organization.pk for hit in exact}
    rest = [hit for hit in _by_postcode(Q(postcodes__contains=[code]), limit) if hit.organization.pk not in seen] if code.isdigit() else []
    return (exact + rest)[:limit]


def _by_postcode(where: Q, limit: int) -> list[Hit]:
    found = (
        Organization.objects.current()
        .annotate(listed=Cast("postcodes", TextField()))  # « {21000,21100} »: the start of a code follows { or ,
        .filter(where)
        .select_related("department", "epci", "successor")
        .order_by("-population", "code")
    )
    return [Hit(Match(organization), Tier.POSTCODE) for organization in found[:limit]]


# --- Names ------------------------------------------------------------------------------------------------------------

_RANKED = """
SELECT n.id, {tier} AS tier
FROM directory_name n JOIN directory_organization o ON o.id = n.organization_id
WHERE {where}
ORDER BY tier,
    CASE WHEN n.kind <> 'current' OR o.closed_on IS NOT NULL THEN 2 WHEN o.kind = 'epci' THEN 1 ELSE 0 END,
    {alike} o.population DESC NULLS LAST, n.code, n.kind
LIMIT %s
"""


def _by_name(text: str, limit: int) -> list[Hit]:
    only_epci = names_an_epci(text)
    folded = (fold_epci if only_epci else fold)(text)
    if not folded:
        return []
    # Rows, not hits: a commune may answer by several of its names.
    room = limit * 2 + 10
    ranked = _exact_and_prefixes(folded, room, only_epci=only_epci)
    # Resemblances only for who found nothing by its right name: beside it they would be noise.
    if len(ranked) < limit and len(folded) > SHORTEST and Tier.EXACT not in {tier for _, tier in ranked}:
        known = {pk for pk, _ in ranked}
        ranked += [(pk, tier) for pk, tier in _alike(folded, room, only_epci=only_epci) if pk not in known]
    return _hits(ranked, limit)


def _exact_and_prefixes(folded: str, room: int, *, only_epci: bool) -> list[tuple[int, int]]:
    # With the words as typed, « la » is a word of « La Rochelle »; folded, it is not.
    tokens = folded.split()[:_MOST_WORDS]
    escaped = _escape(folded)
    if len(folded) < SHORTEST:
        where, values = "n.folded = %s", [folded]
    else:
        each = " AND ".join("(n.folded LIKE %s OR n.folded LIKE %s)" for _ in tokens)
        where = f"(n.folded = %s OR n.folded LIKE %s OR ({each}))"
        values = [folded, f"{escaped}%"]
        for token in tokens:
            values += [f"{_escape(token)}%", f"%% {_escape(token)}%".replace("%%", "%")]
    tier = f"CASE WHEN n.folded = %s THEN {Tier.EXACT:d} WHEN n.folded LIKE %s THEN {Tier.STARTS:d} ELSE {Tier.WORDS:d} END"
    return _run(tier, where, "", [folded, f"{escaped}%", *values], room, only_epci=only_epci)


def _alike(folded: str, room: int, *, only_epci: bool) -> list[tuple[int, int]]:
    return _run(
        f"{Tier.ALIKE:d}",
        "n.folded %% %s",
        "round(similarity(n.folded, %s)::numeric, 1) DESC,",
        [folded, folded],
        room,
        only_epci=only_epci,
    )


def _run(  # noqa: PLR0913 - the parts of one statement
    tier: str, where: str, alike: str, values: Sequence[object], room: int, *, only_epci: bool
) -> list[tuple[int, int]]:
    scope = f"{where} AND o.kind = 'epci'" if only_epci else where
    with connection.cursor() as cursor:
        cursor.execute(_RANKED.format(tier=tier, where=scope, alike=alike), [*values, room])
        return list(cursor.fetchall())


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _hits(ranked: Iterable[tuple[int, int]], limit: int) -> list[Hit]:
    """Turn ranked names into hits, one per collectivité: the name that answers best speaks for it."""
    tiers = dict(ranked)
    names = Name.objects.select_related(
        "organization__department", "organization__epci", "organization__successor"
    ).in_bulk(list(tiers))
    hits: dict[object, Hit] = {}
    for pk, tier in tiers.items():
        name = names.get(pk)
        if name is None or name.organization_id in hits:
            continue
        past = None if name.kind == Name.Kind.CURRENT else name
        hits[name.organization_id] = Hit(Match(name.organization, past), Tier(tier))
        if len(hits) == limit:
            break
    return list(hits.values())
