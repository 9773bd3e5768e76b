"""Asks a registry whether a name is registered (RDAP: RFC 9082, 9083). The one module of this app that opens a socket.

Workers only. The registries are a closed list (`data/extensions.json`, or the setting RDAP_BASE_URLS): a name chooses
among them by its extension and cannot lead anywhere else.
"""

import asyncio
import json
import re
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
from django.conf import settings

from onboarding.intake import names

SECONDS = 3.0  # for the whole answer, redirects included
LARGEST = 65_536  # bytes
REDIRECTS = 2
_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_KEPT = 100  # characters of what a registry says of itself
_OK, _NOT_FOUND = 200, 404
_MOVED = frozenset({301, 302, 303, 307, 308})


class Answer(NamedTuple):
    """`code` is "free", "taken" or "unknown"; `detail` why, in one word; `evidence` what the registry published."""

    code: str
    detail: str
    evidence: dict[str, str] = {}


def base_of(fqdn: str) -> str:
    """Return where the registry of the name's extension answers, "" when it does not."""
    override: dict[str, str] = settings.RDAP_BASE_URLS
    extension = fqdn.rpartition(".")[2]
    return override.get(extension, override.get("*", "")) if override else names.RDAP.get(extension, "")


def is_askable(fqdn: str) -> bool:
    """Whether the text may stand in an address as it is: lower-case labels and dots, nothing else."""
    return _NAME.fullmatch(fqdn) is not None


def ask(fqdn: str) -> Answer:
    """Ask the registry, within three seconds whatever it does; never raises."""
    base = base_of(fqdn)
    if not base:
        return Answer("unknown", "no_registry")
    if not is_askable(fqdn):
        return Answer("unknown", "malformed_name")
    try:
        return asyncio.run(asyncio.wait_for(_ask(base, fqdn), SECONDS))
    except (TimeoutError, httpx.TimeoutException):
        return Answer("unknown", "timeout")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Answer("unknown", f"network_{type(error).__name__}"[:40])


async def _ask(base: str, fqdn: str) -> Answer:
    url = f"{base.rstrip('/')}/domain/{fqdn}"
    headers = {"Accept": "application/rdap+json", "User-Agent": "suite-territoriale"}
    # No proxy nor credentials of the environment: the registry alone is asked.
    async with httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False, headers=headers) as client:
        for _ in range(REDIRECTS + 1):
            async with client.stream("GET", url) as response:
                if response.status_code not in _MOVED:
                    return await _read(response, fqdn)
                target = urljoin(url, response.headers.get("Location", ""))
            if urlsplit(target)[:2] != urlsplit(base)[:2]:
                return Answer("unknown", "redirected_elsewhere")
            url = target
    return Answer("unknown", "too_many_redirects")


async def _read(response: httpx.Response, fqdn: str) -> Answer:
    if response.status_code == _NOT_FOUND:
        return Answer("free", "http_404")
    if response.status_code != _OK:
        return Answer("unknown", f"http_{response.status_code}")
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            return Answer("unknown", "too_large")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Answer("unknown", "not_json")
    # A page that answers 200 to anything is no registry.
    if not isinstance(said, dict) or said.get("objectClassName") != "domain" or _text(said.get("ldhName")) != fqdn:
        return Answer("unknown", "not_rdap")
    return Answer("taken", "http_200", _evidence(said))


def _evidence(said: dict[str, Any]) -> dict[str, str]:
    """Return who holds the name, as far as the registry publishes it, and since when."""
    found = {}
    for event in _rows(said.get("events")):
        if event.get("eventAction") in {"registration", "expiration"}:
            found[str(event["eventAction"])] = _text(event.get("eventDate"))
    for entity in _rows(said.get("entities")):
        card = entity.get("vcardArray")
        roles = entity.get("roles")
        if isinstance(roles, list) and "registrant" in roles and isinstance(card, list) and len(card) > 1:
            lines = [line for line in card[1] if isinstance(line, list) and len(line) > 3] if card[1] else []  # noqa: PLR2004 - a vCard's property
            named = {str(line[0]): _text(line[3], lower=False) for line in lines}
            found["holder"] = named.get("org") or named.get("fn") or ""
    return {key: value for key, value in found.items() if value}


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _text(value: object, *, lower: bool = True) -> str:
    text = value[:_KEPT].strip().rstrip(".") if isinstance(value, str) else ""
    text = "".join(char for char in text if char.isprintable())
    return text.lower() if lower else text
