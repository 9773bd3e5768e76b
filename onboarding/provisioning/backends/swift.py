"""OpenStack Swift without Keystone: one container per organization, in one account that is the product's alone.

The mark, the quota and the key are metadata of the container, which only the account's administrator reads or writes.
Swift refuses what does not fit at once (413, middleware `container_quotas`). A tenant's key is the container's
temporary-URL key: its holder signs each address, for this container's objects and no others; it cannot list.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from django.conf import settings

from onboarding.provisioning.backends.protocols import Owned, Secret, Space
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

META = "X-Container-Meta-"
OWNER, QUOTA, KEY_ID, KEY = f"{META}Suite-Owner", f"{META}Quota-Bytes", f"{META}Suite-Key", f"{META}Temp-Url-Key"
SECOND_KEY = f"{META}Temp-Url-Key-2"
PROBE = ".suite-check/"
PIECE = 1 << 20  # bytes
PAGE = 1000
# A task may not last: beyond this, emptying goes on in the next one.
EMPTYING_SECONDS = 10.0
MISSING, CONFLICT = HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT


class SwiftStorage:
    """Keeps one container per organization."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: tuple[str, str] | None = None  # where the account is, and our token

    @cached_property
    def _client(self) -> httpx.Client:
        # No connection is used twice: Swift 2.30 ends its answer to a HEAD with a chunk that HTTP does not allow there.
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(
            timeout=httpx.Timeout(10, connect=3), follow_redirects=False, trust_env=False, limits=limits
        )

    def ensure_space(self, space: str, *, owner: str) -> None:
        """Have the container; the mark is written in the request that makes it."""
        found = self._head(space)
        if found is None:
            self._call("PUT", quote(space), headers={OWNER: owner})
            found = self._head(space)
        if found is None:
            raise Unavailable("not_seen", "L’espace a été demandé, mais ne se voit pas encore.")
        if found.get(OWNER) != owner:
            raise Refused("conflict", f"Un espace {space} existe déjà, fait par quelqu’un d’autre.")

    def ensure_quota(self, space: str, quota: int) -> None:
        """Bound the container; Swift looks at it at each write."""
        if self._known(space).get(QUOTA) != str(quota):
            self._change(space, {QUOTA: str(quota)})

    def ensure_key(self, space: str) -> None:
        """Have a key."""
        found = self._known(space)
        if not (found.get(KEY) and found.get(KEY_ID)):
            self._issue(space)

    def reissue_key(self, space: str) -> Secret:
        """Replace the key: what the former signed opens nothing any more."""
        self._known(space)
        return self._issue(space)

    def space(self, space: str) -> Space:
        """Return the space as Swift counts it."""
        found = self._known(space)
        keyed = found.get(KEY) and found.get(KEY_ID)
        used = _number(found.get("X-Container-Bytes-Used"))
        if used is None:
            raise _garbage()
        return Space(space, _number(found.get(QUOTA)), used, found[KEY_ID] if keyed else None)

    def check_storage(self, space: str) -> None:
        """Write an object, read it back, and leave nothing behind, of an earlier check that died either."""
        self._known(space)
        name, body = f"{PROBE}{secrets.token_hex(8)}", secrets.token_bytes(32)
        written = self._call("PUT", _path(space, name), content=body, expected={HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
        if written.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise Refused("over_quota", "L’espace est plein : plus rien ne peut y être écrit.")
        read = self._call("GET", _path(space, name)).content
        for left in list(self._objects(space, PROBE)):
            self._call("DELETE", _path(space, left), expected={MISSING})
        if read != body:
            raise Unavailable("not_stored", "Le fichier d’essai ne se relit pas.")

    def enforce(self, space: str) -> Space:
        """Nothing to do but look: Swift compares at each write."""
        return self.space(space)

    def ensure_no_key(self, space: str) -> None:
        """Withdraw the key."""
        found = self._head(space)
        if found is not None and (found.get(KEY) or found.get(SECOND_KEY)):
            self._change(space, {KEY: "", SECOND_KEY: "", KEY_ID: ""})

    def ensure_no_space(self, space: str, *, owner: str) -> None:
        """Shut the tenant out, then delete the objects, then the container. `NotYet` while there is more to delete."""
        found = self._head(space)
        if found is None:
            return
        if found.get(OWNER) != owner:
            raise Refused("conflict", f"L’espace {space} a été fait par quelqu’un d’autre : il reste.")
        self.ensure_no_key(space)
        until = time.monotonic() + EMPTYING_SECONDS
        for name in self._objects(space):
            self._call("DELETE", _path(space, name), expected={MISSING})
            if time.monotonic() > until:
                raise NotYet("emptying", "L’espace se vide ; cela continue.", after=timedelta(seconds=5))
        answer = self._call("DELETE", quote(space), expected={MISSING, CONFLICT})
        if answer.status_code == CONFLICT:
            raise NotYet("emptying", "L’espace se vide ; cela continue.", after=timedelta(seconds=5))

    def spaces(self) -> Iterator[Owned]:
        """Yield every container of the account, each with its mark."""
        for name in self._listed(""):
            found = self._head(name)
            if found is not None:  # deleted meanwhile
                yield Owned(name, found.get(OWNER))

    def export_objects(self, space: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the objects; each content is fetched when its turn comes."""
        self._known(space)
        for name in self._objects(space):
            yield name, self._content(space, name)

    def _content(self, space: str, name: str) -> Iterator[bytes]:
        root, token = self._entered()
        try:
            with self._client.stream("GET", f"{root}/{_path(space, name)}", headers={"X-Auth-Token": token}) as answer:
                _judge(answer, frozenset())
                yield from answer.iter_bytes(PIECE)
        except httpx.HTTPError as error:
            raise _transport(error) from error

    def _issue(self, space: str) -> Secret:
        issued = Secret(f"K{secrets.token_hex(10).upper()}", secrets.token_urlsafe(32))
        # One request: the key and the name by which it is known change together.
        self._change(space, {KEY_ID: issued.access_key, KEY: issued.secret, SECOND_KEY: ""})
        return issued

    def _head(self, space: str) -> httpx.Headers | None:
        answer = self._call("HEAD", quote(space), expected={MISSING})
        return None if answer.status_code == MISSING else answer.headers

    def _known(self, space: str) -> httpx.Headers:
        found = self._head(space)
        if found is None:
            raise Refused("unknown_space", f"L’espace {space} n’existe pas.")
        return found

    def _change(self, space: str, headers: dict[str, str]) -> None:
        answer = self._call("POST", quote(space), headers=headers, expected={MISSING})
        if answer.status_code == MISSING:
            raise Refused("unknown_space", f"L’espace {space} n’existe pas.")

    def _objects(self, space: str, prefix: str = "") -> Iterator[str]:
        return self._listed(quote(space), prefix)

    def _listed(self, path: str, prefix: str = "") -> Iterator[str]:
        """Yield the names in the account (empty path) or in a container, page after page."""
        marker = ""
        while True:
            query = {"format": "json", "limit": str(PAGE), "marker": marker, "prefix": prefix}
            answer = self._call("GET", path, params=query, expected={MISSING})
            if answer.status_code in {MISSING, HTTPStatus.NO_CONTENT}:
                return
            try:
                names = [str(row["name"]) for row in answer.json()]
            except (ValueError, KeyError, TypeError) as error:
                raise _garbage() from error
            if not names:
                return
            if names[-1] <= marker:  # a server that ignores `marker` must not make us turn for ever
                raise _garbage()
            yield from names
            marker = names[-1]

    def _call(  # noqa: PLR0913 - what an HTTP request has
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        expected: set[HTTPStatus] | None = None,
    ) -> httpx.Response:
        """Ask Swift, as the account's administrator. A token that has ended is asked again, once."""
        for fresh in (False, True):
            root, token = self._entered(fresh=fresh)
            sent = {"X-Auth-Token": token, **(headers or {})}
            try:
                answer = self._client.request(method, f"{root}/{path}", headers=sent, params=params, content=content)
            except httpx.HTTPError as error:
                raise _transport(error) from error
            if answer.status_code != HTTPStatus.UNAUTHORIZED:
                break
        _judge(answer, frozenset(expected or ()))
        return answer

    def _entered(self, *, fresh: bool = False) -> tuple[str, str]:
        """Return where our account is, and a token."""
        with self._lock:
            if self._session is None or fresh:
                self._session = self._enter()
            return self._session

    def _enter(self) -> tuple[str, str]:
        who = {"X-Auth-User": settings.STORAGE_ACCESS_KEY, "X-Auth-Key": settings.STORAGE_SECRET_KEY}
        try:
            answer = self._client.get(settings.STORAGE_URL, headers=who)
        except httpx.HTTPError as error:
            raise _transport(error) from error
        _judge(answer, frozenset())
        root, token = answer.headers.get("X-Storage-Url", ""), answer.headers.get("X-Auth-Token", "")
        # The token opens everything: it goes to the server that gave it and to no other.
        if not token or urlsplit(root)[:2] != urlsplit(settings.STORAGE_URL)[:2]:
            raise _garbage()
        return root.rstrip("/"), token


def _path(space: str, name: str) -> str:
    return f"{quote(space)}/{quote(name)}"


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise Refused("out_of_sync", "Le quota écrit sur l’espace n’est pas un nombre : une personne doit voir.")
    return int(text)


def _judge(answer: httpx.Response, expected: frozenset[HTTPStatus]) -> None:
    """Raise what a status means, unless it is a success or one that the caller expects."""
    status: Any = answer.status_code
    if answer.is_success or status in expected:
        return
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise Unavailable("denied", "Le stockage n’accepte plus notre compte d’administration.")
    if status in {HTTPStatus.TOO_MANY_REQUESTS, 498, HTTPStatus.SERVICE_UNAVAILABLE}:
        raise Unavailable("busy", "Le stockage est surchargé.")
    if status == MISSING:
        raise Refused("unknown_space", "Cet espace n’existe pas.")
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable("server_error", "Le stockage a répondu par une erreur.")
    raise Refused("invalid", f"Le stockage refuse la demande ({status}).")


def _transport(error: httpx.HTTPError) -> Unavailable:
    if isinstance(error, httpx.TimeoutException):
        return Unavailable("timeout", "Le stockage n’a pas répondu à temps.")
    if isinstance(error, httpx.ConnectError):
        return Unavailable("unreachable", "Le stockage n’est pas joignable.")
    return Unavailable("broken", "Le stockage a interrompu sa réponse.")


def _garbage() -> Unavailable:
    return Unavailable("garbage", "Le stockage a répondu de façon incompréhensible.")
