"""One HTTP call to a provider, bounded in time and size. Nothing but its answer, or an outcome of ours, comes out.

The key travels in a header, and is in no message, no log and no `repr`.
"""

import json
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from onboarding.provisioning.errors import Refused, Unavailable

CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
# All of a call, an answer that drips included; a task has 25 seconds for its step.
TOTAL_SECONDS = 15.0
ANSWER_MAX = 16_000_000
_SAID_MAX = 200
_DENIED = frozenset({401, 403})
_TOO_MANY = 429
_SERVER_ERROR = 500
_REDIRECT, _CLIENT_ERROR = 300, 400


@dataclass(frozen=True)
class Answer:
    """What the other side answered: a status under 300 or one of those expected, and its body."""

    status: int
    text: str

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body as JSON. `Unavailable("garbage")`: what cannot be read says nothing of what was done."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise Unavailable("garbage", "Le fournisseur a donné une réponse illisible.") from error


@dataclass(frozen=True)
class Request:
    """What to ask. `path` is relative to the provider's address; a status in `expected` is an answer, not a failure."""

    method: str
    path: str
    body: object = None
    params: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[int] = frozenset()
    limit: int = ANSWER_MAX
    accept: str = "application/json"


class Caller:
    """Calls one provider. `who` names it in the sentences of its failures, as in « le serveur DNS »."""

    def __init__(self, base_url: str, headers: Mapping[str, str], who: str) -> None:
        self._who = who
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers=dict(headers),
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,  # a key follows nobody
            trust_env=False,
        )
        # `backends.renew()` drops a backend that answered badly: its connections go with it.
        weakref.finalize(self, self._client.close)

    def send(self, request: Request) -> Answer:
        """Send one request, and return an answer under 300 or of a status expected; all else is an outcome.

        `Unavailable`: "timeout", "unreachable", "busy" (429), "denied" (401, 403: a key of ours to mend, not a fault of
        this commune), "server_error" (5xx), "too_long", "redirected". `Refused("invalid")`: any other 4xx.
        """
        status, data = self._exchange(request)
        if status < _REDIRECT or status in request.expected:
            return Answer(status, data.decode("utf-8", "replace"))
        if status in _DENIED:
            raise Unavailable("denied", f"{self._who} refuse notre clé : un administrateur doit la vérifier.")
        if status == _TOO_MANY:
            raise Unavailable("busy", f"{self._who} demande d’attendre.")
        if status >= _SERVER_ERROR:
            raise Unavailable("server_error", f"{self._who} est en panne (réponse {status}).")
        if status < _CLIENT_ERROR:
            raise Unavailable("redirected", f"{self._who} renvoie vers une autre adresse : son réglage est à vérifier.")
        raise Refused("invalid", f"{self._who} refuse la demande (réponse {status}) : {_said(data)}")

    def _exchange(self, request: Request) -> tuple[int, bytes]:
        deadline = time.monotonic() + TOTAL_SECONDS
        data = bytearray()
        try:
            with self._client.stream(
                request.method,
                request.path,
                json=request.body,
                params=request.params,
                headers={"Accept": request.accept},
            ) as response:
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > request.limit:
                        raise Unavailable("too_long", f"{self._who} a donné une réponse démesurée.")
                    if time.monotonic() > deadline:
                        raise Unavailable("timeout", f"{self._who} n’a pas fini de répondre à temps.")
                return response.status_code, bytes(data)
        except httpx.TimeoutException as error:
            raise Unavailable("timeout", f"{self._who} n’a pas répondu à temps.") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise Unavailable("unreachable", f"{self._who} n’a pas répondu.") from error


def _said(data: bytes) -> str:
    """Return what an error's body says, on one line and short."""
    text = data[:2000].decode("utf-8", "replace")
    try:
        found = json.loads(text)
        text = str(found.get("error") or found.get("message") or found) if isinstance(found, dict) else str(found)
    except ValueError:
        pass
    return " ".join(text.split())[:_SAID_MAX]
