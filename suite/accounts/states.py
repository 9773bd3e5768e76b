"""The sign-ins a browser has under way: one entry of its session per `state`, good for one return.

Each tab has its entry, with where it wants to land. Taking one is done under the lock of the session's row, so that the
same return sent twice opens one session, and that two tabs do not erase each other's entry.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest

KEY = "oidc_states"  # the library's own name for it
LANDINGS = "landings"
LIFETIME = 600  # seconds


@dataclass(frozen=True)
class Entry:
    """One sign-in under way. `purpose` is "sign-in", "stronger" or "step-up"; `verifier` is None when PKCE is off.

    A step-up names who asks it, `user` and `sub`: nobody else may answer.
    """

    nonce: str
    verifier: str | None
    next: str
    purpose: str
    started_at: float
    user: str = ""
    sub: str = ""

    @property
    def expired(self) -> bool:
        """Whether the person took more than ten minutes."""
        return not 0 <= time.time() - self.started_at <= LIFETIME


@contextmanager
def locked(request: HttpRequest) -> Iterator[SessionBase]:
    """Give the browser's session as it now is, alone; what is changed is saved at the end.

    A browser that has no session yet gets one from the middleware, as usual.
    """
    key = request.session.session_key
    with transaction.atomic():
        if key is None or not Session.objects.select_for_update().filter(session_key=key).exists():
            yield request.session
            return
        request.session = request.session.__class__(key)
        yield request.session
        if request.session.modified:
            request.session.save()
            request.session.modified = False


def annotate(  # noqa: PLR0913 - the fields of an entry
    session: SessionBase, state: str, *, landing: str, purpose: str, user: str = "", sub: str = ""
) -> None:
    """Write in the library's entry what this product adds to it."""
    session[KEY][state] |= {"next": landing, "purpose": purpose, "user": user, "sub": sub}
    session.modified = True


def take(request: HttpRequest, state: str) -> Entry | None:
    """Remove the entry of this `state` and return it; None when the browser has none."""
    if not state or KEY not in request.session:
        return None
    with locked(request) as session:
        found: dict[str, Any] | None = session.get(KEY, {}).pop(state, None)
        session.modified = found is not None
    if found is None:
        return None
    return Entry(
        nonce=found.get("nonce") or "",
        verifier=found.get("code_verifier"),
        next=found.get("next", ""),
        purpose=found.get("purpose", "sign-in"),
        started_at=found.get("added_on", 0.0),
        user=found.get("user", ""),
        sub=found.get("sub", ""),
    )


def landings(session: SessionBase) -> dict[str, str]:
    """Return where the other tabs wanted to land: all that outlives the session in which they left.

    Their states do not: they could have been planted. A tab that comes back after another has signed in needs no
    sign-in any more, only its page.
    """
    return {state: entry.get("next", "") for state, entry in session.get(KEY, {}).items()}
