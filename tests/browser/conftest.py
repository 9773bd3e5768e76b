"""Real Chromium, driven by Playwright, on the real demonstration."""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Frame, Page, sync_playwright
from pytest_socket import enable_socket

from tests.demonstration import Demo

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# As root in a container there is no sandbox to enter; and nothing may call home.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Not for the session: as long as Playwright runs, an event loop stands in this thread, and the tests of other
    # folders could not run one.
    enable_socket()
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install it, or run as root on Debian or Ubuntu")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Screen:
    """One person's browser; whatever its console complains of is remembered."""

    def __init__(self, context: BrowserContext, demo: Demo, *, scripts: bool) -> None:
        self.context = context
        self.scripts = scripts
        self.base = f"http://127.0.0.1:{demo.port}"
        self.complaints: list[str] = []
        self.asked = ""
        self.page = self._attend(context)

    def _attend(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("framenavigated", self._arrive)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _arrive(self, frame: Frame) -> None:
        self.asked = frame.url

    def _listen(self, message: ConsoleMessage) -> None:
        # A page that explains a 404 or a 422 is an answer; the console reports it all the same.
        explained = re.search(r"status of 4\d\d", message.text) and message.location["url"] == self.asked
        if message.type in {"error", "warning"} and not explained:
            self.complaints.append(f"{message.text} ({message.location})")

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def another(self) -> Page:
        """Return the page of somebody else: other cookies, same ear."""
        browser = self.context.browser
        assert browser is not None
        context = browser.new_context(java_script_enabled=self.scripts, locale="fr-FR")
        context.set_default_timeout(15_000)
        return self._attend(context)


@pytest.fixture(params=[True, False], ids=["javascript", "no javascript"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether scripts run: each journey is walked both ways."""
    return bool(request.param)


@pytest.fixture
def screen(chromium: Browser, demo: Demo, scripts: bool) -> Iterator[Screen]:  # noqa: FBT001 - a fixture's value
    context = chromium.new_context(java_script_enabled=scripts, locale="fr-FR")
    context.set_default_timeout(15_000)
    screen = Screen(context, demo, scripts=scripts)
    yield screen
    context.close()
    assert not screen.complaints
