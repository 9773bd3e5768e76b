"""Where an address is, by a dated MMDB file that the administrator provides: none, or an old one, and nobody knows."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import maxminddb
from django.conf import settings

OLDEST = timedelta(days=45)


def locate(addresses: Iterable[str], *, now: datetime | None = None) -> tuple[dict[str, str], str]:
    """Return the country of each address (ISO code, "" when unknown) and the day of the base (ISO 8601).

    Without a base, or with one older than OLDEST, nothing is located and the day is empty.
    """
    base = _base(settings.GEOIP_DATABASE)
    addresses = list(addresses)
    unknown = dict.fromkeys(addresses, "")
    if base is None:
        return unknown, ""
    built = datetime.fromtimestamp(base.metadata().build_epoch, UTC)
    if (now or datetime.now(UTC)) - built > OLDEST:
        return unknown, ""
    return {address: _country(base, address) for address in addresses}, built.date().isoformat()


def _country(base: maxminddb.Reader, address: str) -> str:
    try:
        found = base.get(address)
    except ValueError:
        return ""
    country = found.get("country") if isinstance(found, dict) else None
    code = country.get("iso_code") if isinstance(country, dict) else None
    return code if isinstance(code, str) else ""


def _base(path: str) -> maxminddb.Reader | None:
    try:
        return _opened(path, Path(path).stat().st_mtime_ns) if path else None
    except (OSError, ValueError, maxminddb.InvalidDatabaseError):
        return None


@lru_cache(maxsize=1)
def _opened(path: str, _modified: int) -> maxminddb.Reader:
    """Open the base once for a process and a file: a new one in its place is read without a restart."""
    return maxminddb.open_database(path)
