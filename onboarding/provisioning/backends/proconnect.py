"""ProConnect's partners' API: the e-mail domains of an identity provider (services.md, 4.2).

Each request is signed over its very bytes with a secret shared by all providers. A PATCH replaces the whole list: the
live list is read first, and a surprising one stops everything until a person has looked.
"""

import hmac
import json
import time
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from onboarding.provisioning.backends.identity_rules import LOOPBACK, guard, normalized
from onboarding.provisioning.errors import NotYet, Outcome, Refused, Unavailable
from suite.directory.operators import PROVIDER

# The list changes by a review in ProConnect's own repository: days, not minutes.
ALLOW_LIST_ASKED_EVERY = timedelta(hours=6)
FIELD = "attached_email_domains"


class ProConnectIdentity:
    """Attaches domains to identity providers at ProConnect."""

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(
            # A proxy's name may hold a password: it is never in what we raise or log.
            proxy=settings.PROCONNECT_PARTNERS_PROXY or None,
            timeout=httpx.Timeout(5, connect=3),
            follow_redirects=False,
            trust_env=False,
        )

    def domains(self, provider: str) -> frozenset[str]:
        """Return the domains attached."""
        return self._listed(provider, self._call("GET", provider))

    def ensure_domains(self, provider: str, wanted: frozenset[str], *, known: frozenset[str]) -> None:
        """Attach exactly these. The caller lets one worker at a time do this for a provider."""
        wanted, known = frozenset(map(normalized, wanted)), frozenset(map(normalized, known))
        live = self.domains(provider)
        if live == wanted:
            return
        guard(provider, live, wanted, known)
        kept = self._listed(provider, self._call("PATCH", provider, {FIELD: sorted(wanted)}))
        if kept != wanted:
            raise Unavailable("not_kept", "ProConnect a répondu oui, mais n’a pas gardé la liste demandée.")

    def _call(self, method: str, provider: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and return the JSON object of a success."""
        if not PROVIDER.fullmatch(provider):
            raise Refused("unknown_provider", "L’identifiant du fournisseur d’identité n’est pas valable.")
        url = httpx.URL(f"{_base()}/api/oidc_providers/{provider}/configuration")
        # Serialized once: what is signed is what is sent.
        content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        stamp = str(int(time.time()))
        headers = {
            "X-Timestamp": stamp,
            "X-Signature": signature(
                settings.PROCONNECT_PARTNERS_SECRET, stamp, method, url.raw_path.decode("ascii"), content
            ),
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if content else {}),
        }
        try:
            answer = self._client.request(method, url, content=content or None, headers=headers)
        except httpx.TimeoutException as error:
            raise Unavailable("timeout", "ProConnect n’a pas répondu à temps.") from _without_words(error)
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise Unavailable("unreachable", "ProConnect n’est pas joignable.") from _without_words(error)
        except httpx.HTTPError as error:
            raise Unavailable("broken", "ProConnect a interrompu sa réponse.") from _without_words(error)
        try:
            said = answer.json()
        except ValueError:
            said = None
        if answer.status_code != HTTPStatus.OK:
            raise _outcome(provider, answer.status_code, said if isinstance(said, dict) else {})
        if not isinstance(said, dict):
            raise _garbage()
        return said

    @staticmethod
    def _listed(provider: str, said: dict[str, Any]) -> frozenset[str]:
        """Read the list of an answer; one about another provider says nothing of ours."""
        found = said.get(FIELD)
        if said.get("uid") != provider:
            raise Unavailable("another_provider", "ProConnect a répondu pour un autre fournisseur d’identité.")
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise _garbage()
        return frozenset(map(normalized, found))


def signature(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 of a request.

    `target` is the path as the server sees it, prefix included, and its query if any; the « ? » is there without one.
    """
    path, _, query = target.partition("?")
    message = f"{timestamp}:{method}:{path}?{query}".encode()
    if body:
        message += b":" + body
    return hmac.new(secret.encode(), message, sha256).hexdigest()


def _base() -> str:
    base: str = settings.PROCONNECT_PARTNERS_URL.rstrip("/")
    parts = urlsplit(base)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise Refused("not_https", "L’adresse de ProConnect n’est pas en https : nous n’y envoyons rien.")
    return base


def _outcome(provider: str, status: int, said: dict[str, Any]) -> Outcome:
    error = str(said.get("error", ""))[:60]
    outcome: Outcome
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and error == "attached_email_domain_not_allowed":
        named = said.get(FIELD)
        offenders = ", ".join(sorted(map(str, named)))[:300] if isinstance(named, list) else "non précisés"
        outcome = NotYet(
            "not_allowed",
            f"ProConnect doit encore autoriser pour le fournisseur {provider} : {offenders}. "
            "C’est l’affaire de quelques jours.",
            after=ALLOW_LIST_ASKED_EVERY,
        )
    elif status == HTTPStatus.NOT_FOUND:
        outcome = Refused("unknown_provider", f"ProConnect ne connaît pas le fournisseur d’identité {provider}.")
    elif error == "uid_not_editable":
        outcome = Refused("not_editable", f"ProConnect ne nous laisse pas modifier le fournisseur {provider}.")
    elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        outcome = Unavailable("denied", "ProConnect n’accepte plus notre signature.")
    elif HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        outcome = Unavailable("redirected", "ProConnect renvoie ailleurs : nous n’y allons pas.")
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        outcome = Unavailable("busy", "ProConnect est surchargé.")
    elif HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        outcome = Refused("invalid", f"ProConnect refuse la demande ({error or status}).")
    else:
        outcome = Unavailable("server_error", "ProConnect a répondu par une erreur.")
    return outcome


def _garbage() -> Unavailable:
    return Unavailable("garbage", "ProConnect a répondu de façon incompréhensible.")


def _without_words(error: Exception) -> Exception:
    """Return what may stand as a cause: a proxy's error repeats the proxy's address, and its password."""
    return Exception(type(error).__name__)
