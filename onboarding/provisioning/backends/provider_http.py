"""One HTTP call to a provider: what came back, or one of the three ways not to succeed. Never a secret in either."""

from collections.abc import Collection, Mapping
from typing import Any

import httpx
from django.core.exceptions import ImproperlyConfigured

from onboarding.provisioning.errors import Refused, Unavailable

ANSWER_MAX = 20_000_000  # bytes
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Answer:
    """A status among those expected, and the JSON that came with it (None when there was none)."""

    def __init__(self, status: int, body: Any) -> None:  # noqa: ANN401 - JSON
        self.status, self.body = status, body

    def object(self) -> dict[str, Any]:
        """Return the body, which must be an object."""
        if not isinstance(self.body, dict):
            raise bad_answer()
        return self.body

    def objects(self) -> list[dict[str, Any]]:
        """Return the body, which must be a list of objects."""
        if not isinstance(self.body, list) or not all(isinstance(item, dict) for item in self.body):
            raise bad_answer()
        return self.body


class Server:
    """One provider's HTTP API. It follows no redirect: a credential goes to the host of the settings and no other."""

    def __init__(self, name: str, url: str, *, timeout: float) -> None:
        parts = httpx.URL(url)
        if parts.scheme != "https" and parts.host not in _LOOPBACK:
            raise ImproperlyConfigured(f"the address of {name} must begin with https://")
        self.name = name
        self._client = httpx.Client(base_url=parts, timeout=httpx.Timeout(timeout, connect=5), follow_redirects=False)

    def __repr__(self) -> str:
        return f"Server({self.name})"

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        expected: Collection[int],
        json: object = None,
    ) -> Answer:
        """Ask once. A status that is not `expected` is `Unavailable` (« denied » for 401 and 403) or `Refused`."""
        try:
            with self._client.stream(method, path, headers=dict(headers), json=json) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > ANSWER_MAX:
                        raise bad_answer()
        except httpx.TimeoutException:
            raise Unavailable("timeout", f"{self.name} n’a pas répondu à temps.") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            # Not the error itself: it carries the request, and the request its credentials.
            note = f"La connexion à {self.name} a échoué ({type(error).__name__})."
            raise Unavailable("network", note) from None
        status = response.status_code
        if status in expected:
            return Answer(status, _json(response, bytes(body)) if body.strip() else None)
        raise self.fault(status)

    def fault(self, status: int) -> Unavailable | Refused:
        """Return what an unexpected status means (services.md, 5)."""
        if status in {401, 403}:
            return Unavailable("denied", f"{self.name} refuse nos identifiants.")
        if status == httpx.codes.NOT_FOUND:
            return Refused("out_of_sync", f"{self.name} ne connaît pas ce que nous lui demandons.")
        if status == httpx.codes.UNPROCESSABLE_ENTITY:
            return Refused("invalid", f"{self.name} refuse cette demande, qu’il juge mal formée.")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Unavailable("rate_limited", f"{self.name} nous demande de ralentir.")
        return Unavailable(f"status_{status}", f"{self.name} a répondu par une erreur ({status}).")


def bad_answer() -> Unavailable:
    """Return what an answer out of its contract means: nothing is known."""
    return Unavailable("bad_answer", "La réponse du fournisseur ne se comprend pas.")


def _json(response: httpx.Response, body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return httpx.Response(response.status_code, content=body).json()
    except (ValueError, UnicodeDecodeError, RecursionError):
        if response.status_code == httpx.codes.NO_CONTENT or response.is_error:
            return None
        raise bad_answer() from None
