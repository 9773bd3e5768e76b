"""A sign-in observed from outside: a browser between the product and a provider, and what became of it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client
from django.test.utils import override_settings

from suite.accounts.models import Identity, User
from tests.proconnect.providers import PRODUCT, Provider

RETURN = f"{PRODUCT}/connexion/retour/"


@dataclass
class Page:
    """An answer, whoever gave it."""

    url: str
    status: int
    headers: dict[str, str]
    text: str

    @property
    def target(self) -> str:
        """Where it redirects, "" when it does not."""
        where = self.headers.get("location", "")
        return urljoin(self.url, where) if where and self.status in {301, 302, 303, 307, 308} else ""


class Browser:
    """One person: asks the product in this process, the provider over the network; follows nothing by itself."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.product = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.web = httpx.Client(timeout=30, trust_env=False)
        # The product by the name that one typed, then by the one it led to.
        self.here = PRODUCT.replace("127.0.0.1", host)
        self.page = Page("", 0, {}, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.web.close()

    def open(self, url: str, data: dict[str, str] | None = None, **headers: str) -> Self:
        """Go to an address, the product's when it has no host; `data` posts a form."""
        url = urljoin(self.here, url)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        if origin in {PRODUCT, self.here}:
            self.here, path = origin, url.removeprefix(origin)
            ask = self.product.get if data is None else self.product.post
            answer = ask(path, data, headers={"host": urlsplit(url).netloc, **headers})
            kept = {name.lower(): value for name, value in answer.items()}
            text = "" if answer.streaming else answer.content.decode()
            self.page = Page(url, answer.status_code, kept, text)
        else:
            sent = {"Origin": "{0.scheme}://{0.netloc}".format(urlsplit(self.page.url))}
            found = self.web.get(url) if data is None else self.web.post(url, data=data, headers=sent)
            self.page = Page(str(found.url), found.status_code, dict(found.headers), found.text)
        return self

    def press(self, name: str, value: str) -> Self:
        """Press a button of the page's first form."""
        form = re.search(r"<form[^>]*?action=\"([^\"]+)\".*?</form>", self.page.text, re.DOTALL)
        assert form is not None, self.page
        hidden = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', form[0]))
        data = {key: unescape(text) for key, text in hidden.items()} | {name: value}
        return self.open(urljoin(self.page.url, unescape(form[1])), data)

    def follow(self, until: str = "") -> Self:
        """Follow redirections to the end, or up to the one whose address begins so."""
        while self.page.target and not (until and self.page.target.startswith(until)):
            self.open(self.page.target)
        return self

    def leave(self, landing: str = "") -> Self:
        """Leave the product for the provider, up to its page of people, or to the return when it answers silently."""
        query = f"?{urlencode({'next': landing})}" if landing else ""
        return self.open(f"/connexion/proconnect/{query}").open(self.page.target).follow(until=RETURN)

    def choose(self, persona: str = "secretaire") -> Self:
        """Be somebody at the provider, up to the redirection back, not followed."""
        if self.page.target:
            return self  # its session was enough
        self.press("persona", persona).follow(until=RETURN)
        if "document.forms[0].submit()" in self.page.text:
            # Somebody else was signed in there: the page that signs them out sends itself.
            self.press("logout", "yes").follow(until=RETURN)
        return self

    def come_back(self, **changes: str | None) -> Self:
        """Fetch the return, its query altered; None leaves a parameter out."""
        assert self.page.target.startswith(RETURN), self.page
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.page.target).query).items()}
        kept = {name: value for name, value in (query | changes).items() if value is not None}
        return self.open(f"{RETURN}?{urlencode(kept)}")

    def sign_in(self, persona: str = "secretaire", landing: str = "") -> Self:
        """Do all of it."""
        return self.leave(landing).choose(persona).come_back()

    @property
    def answer(self) -> dict[str, str]:
        """What the redirection carries."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.target).query).items()}

    @property
    def session_key(self) -> str:
        """The session's cookie."""
        cookie = self.product.cookies.get(settings.SESSION_COOKIE_NAME)
        return cookie.value if cookie else ""

    @property
    def session(self) -> dict[str, Any]:
        """What the session holds, as the database has it."""
        found = Session.objects.filter(session_key=self.session_key).first()
        return found.get_decoded() if found else {}

    @property
    def user(self) -> User | None:
        """Who the product takes this for."""
        key = self.session.get(SESSION_KEY)
        return User.objects.get(pk=key) if key else None

    def change_session(self, **changes: Any) -> None:
        """Write in the session: the time that passes, mostly."""
        session = self.product.session
        session.update(changes)
        session.save()

    def form_token(self) -> str:
        """Return the token a form of the site bears."""
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.open("/mentions-legales/").page.text)
        assert found is not None
        return found[1]


def signed_in_sessions() -> dict[str, dict[str, Any]]:
    """Return every session where somebody is signed in, less the sign-ins under way in its other tabs."""
    found = {session.session_key: session.get_decoded() for session in Session.objects.all()}
    return {
        key: {name: value for name, value in held.items() if name != "oidc_states"}
        for key, held in found.items()
        if SESSION_KEY in held
    }


@dataclass
class Case:
    """A row at a provider. `got` is the observation, for the table."""

    provider: Provider
    caplog: pytest.LogCaptureFixture
    vanilla: bool
    got: str = ""
    settled: bool = False  # what `got` says is what was expected
    browsers: list[Browser] = field(default_factory=list)

    def browser(self, host: str = "127.0.0.1") -> Browser:
        """Open one more browser."""
        self.browsers.append(Browser(host))
        return self.browsers[-1]

    @contextmanager
    def ours(self, **changes: Any) -> Iterator[None]:
        """Change a setting of the product, not of the library as shipped."""
        with override_settings(**({} if self.vanilla else changes)):
            yield

    def observe(self, browser: Browser, as_whom: User | None = None) -> None:
        """Say what became of a sign-in."""
        self.settled = False
        user = browser.user
        if browser.page.status >= 500 and browser.page.status not in {502, 503}:
            self.got = f"{browser.page.status}"
        elif user is not None:
            self.got = "logged in" if as_whom is None or as_whom == user else "logged in as somebody else"
        else:
            self.got = f"refused {browser.page.status}"
        held = [session.get_decoded() for session in Session.objects.all()]
        if any("oidc_id_token" in session and SESSION_KEY not in session for session in held):
            self.got += ", ID token left"

    def refuses(self, reason: str, persona: str = "secretaire") -> Browser:
        """Sign in somebody new and expect a refusal with this reason in the log."""
        browser = self.browser().leave().choose(persona)
        return self.refuses_return(reason, browser)

    def refuses_return(self, reason: str, browser: Browser, **changes: str | None) -> Browser:
        """Come back from the provider and be refused: explained, logged, nothing else changed (`proconnect.md` 6)."""
        before, accounts = signed_in_sessions(), User.objects.count()
        self.caplog.clear()
        started = time.monotonic()
        browser.come_back(**changes)
        elapsed = time.monotonic() - started
        self.observe(browser)
        if elapsed > 6:
            self.got = f"{self.got} after {elapsed:.0f} s"
        if before and browser.session_key in before:
            same = signed_in_sessions() == before
            crashed = browser.page.status >= 500 and browser.page.status not in {502, 503}
            kept = f"{'' if crashed else 'refused '}{browser.page.status}, session kept"
            self.got = kept if same else f"session changed ({self.got})"
        assert self.got.startswith("refused"), self.got
        assert "left" not in self.got, self.got
        assert signed_in_sessions() == before
        assert User.objects.count() == accounts
        if not self.vanilla:
            assert f"sign-in refused: {reason}" in [record.getMessage() for record in self.caplog.records]
            self.explained(browser)
            self.got = f"{self.got}: {reason}"
        self.settled = True
        return browser

    def explained(self, browser: Browser) -> None:
        """Expect a page of refusal: in French, a reason, a remedy, somebody to write to, the reference of the log."""
        page = browser.page
        assert 400 <= page.status < 500 or page.status in {502, 503}, page
        assert '<html lang="fr"' in page.text
        for heading in ("Ce qui s’est passé", "Ce que vous pouvez faire", "À qui vous adresser"):
            assert heading in page.text
        assert page.headers["x-request-id"] in page.text
        assert settings.CONTACT_EMAIL in page.text
        query = {name: value for name, value in self.secrets(browser).items() if len(value) > 20}
        assert not [name for name, value in query.items() if value in page.text or value in self.caplog.text]

    @staticmethod
    def secrets(browser: Browser) -> dict[str, str]:
        """Return what came in the address, which neither page nor log may repeat."""
        return {name: values[0] for name, values in parse_qs(urlsplit(browser.page.url).query).items() if name != "iss"}

    def accepts(self, persona: str = "secretaire", browser: Browser | None = None) -> Browser:
        """Sign somebody in."""
        browser = (browser or self.browser()).leave().choose(persona)
        return self.accepts_return(browser)

    def accepts_return(self, browser: Browser, **changes: str | None) -> Browser:
        """Come back and be signed in."""
        browser.come_back(**changes)
        self.observe(browser)
        assert self.got == "logged in", self.got
        assert browser.page.status == 302
        self.settled = True
        return browser

    def known(self, persona: str = "collegue") -> tuple[User, str]:
        """Let somebody sign in beforehand; returns the account and its sub."""
        user = self.accepts(persona).user
        assert user is not None
        identity = Identity.objects.filter(user=user).first()
        return user, identity.sub if identity else "the-sub-of-somebody-else"

    def expect(self, condition: object, otherwise: str, got: str = "as expected") -> None:
        """Note what a row that is neither a refusal nor a sign-in shows."""
        self.got, self.settled = (got, True) if condition else (otherwise, False)
        assert condition, otherwise
