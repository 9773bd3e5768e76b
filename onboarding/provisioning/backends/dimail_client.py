"""The calls of dimail's API, numbered as in services.md, 5: what each sends, and what counts as its success."""

import base64
import binascii
import json
import threading
import time
from collections.abc import Collection
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from onboarding.provisioning.backends.provider_http import Answer, Server, bad_answer
from onboarding.provisioning.errors import Unavailable

_LIFE = 40 * 60  # seconds, for a token that does not say its own: dimail's live about 47 minutes
_EARLY = 5 * 60
_DENIED = "denied"


class Client:
    """Authenticates, and keeps its token while it lives."""

    def __init__(self) -> None:
        self._server = Server("dimail", settings.DIMAIL_URL, timeout=settings.DIMAIL_TIMEOUT)
        try:
            base64.b64decode(settings.DIMAIL_CREDENTIALS, validate=True).decode().index(":")
        except (binascii.Error, ValueError):
            raise ImproperlyConfigured("DIMAIL_CREDENTIALS must be base64 of user:password") from None
        self._basic = {"Authorization": f"Basic {settings.DIMAIL_CREDENTIALS}"}
        self._token, self._until = "", 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "Client(dimail)"

    def domain_call(self, method: str, path: str, *, expected: Collection[int] = (200,), body: object = None) -> Answer:
        """Ask with our name and password (calls 1 to 5)."""
        return self._server.call(method, path, headers=self._basic, expected=expected, json=body)

    def mailbox_call(
        self, method: str, path: str, *, expected: Collection[int] = (200,), body: object = None
    ) -> Answer:
        """Ask with the token (calls 6 to 15 and 18); a token refused is fetched anew, and the call made again, once."""
        for last in (False, True):
            token = self.token(fresh=last)
            try:
                return self._server.call(
                    method, path, headers={"Authorization": f"Bearer {token}"}, expected=expected, json=body
                )
            except Unavailable as fault:
                if fault.code != _DENIED or last:
                    raise
        raise AssertionError

    def token(self, *, fresh: bool = False) -> str:
        """Call 1, unless the token we have still lives. 403 here means that our password is wrong."""
        with self._lock:
            if fresh or time.monotonic() >= self._until:
                self._until = 0.0
                answer = self.domain_call("GET", "/token/").object()
                token = answer.get("access_token")
                if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
                    raise bad_answer()
                self._token, self._until = token, time.monotonic() + max(0.0, _life(token) - _EARLY)
            return self._token


def at(*segments: str, end: str = "/") -> str:
    """Return a path, each of its variable parts percent-encoded."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments) + end


def _life(token: str) -> float:
    """Return how long a token lives, as it says itself."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - time.time()
    except (IndexError, KeyError, TypeError, ValueError):
        return _LIFE
