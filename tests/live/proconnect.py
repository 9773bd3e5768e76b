"""The demonstration's provider, started for tests as it is for people: a real process on a free port."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx

CLIENT_ID, CLIENT_SECRET = "suite-territoriale", "a-secret-of-the-tests"


def free_port() -> int:
    """Return a port of this machine nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def proconnect(folder: Path, product: str, **environment: str) -> Iterator[str]:
    """Run the provider for a product at this address; gives the provider's address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ["-m", "gunicorn", "suite.demo.proconnect.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    kept = {name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}}
    with (folder / "proconnect.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--workers", "1", "--threads", "4"],
            env={
                **kept,
                "PROCONNECT_DEMO": "1",
                "PROCONNECT_DIR": str(folder),
                "PROCONNECT_PORT": str(port),
                "PUBLIC_BASE_URL": product,
                "OIDC_RP_CLIENT_ID": CLIENT_ID,
                "OIDC_RP_CLIENT_SECRET": CLIENT_SECRET,
                **environment,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, f"{address}/api/v2/jwks", log.name)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
        if process.poll() is not None:
            break
    raise AssertionError(Path(log).read_text())


class Browser:
    """One person's cookies, following nothing by itself."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.client = httpx.Client(timeout=20, trust_env=False)
        self.page: httpx.Response

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def open(self, url: str) -> Self:
        """Go to an address, absolute or of the product."""
        self.page = self.client.get(httpx.URL(self.product).join(url))
        return self

    def press(self, name: str, value: str = "1", **values: str) -> Self:
        """Press a button of the provider's page, known by its name; the first form's for a typed person."""
        hidden = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', self.page.text))
        data = {key: unescape(text) for key, text in hidden.items()} | values
        if name:
            data[name] = value
        return self.post(str(self.page.url.join("/connexion")), data)

    def post(self, url: str, data: dict[str, str]) -> Self:
        """Send a form as browsers do: a page that hides where it is posts with a null origin."""
        hidden = self.page.headers.get("referrer-policy") == "no-referrer"
        origin = "null" if hidden else "{0.scheme}://{0.netloc}".format(urlsplit(str(self.page.url)))
        self.page = self.client.post(url, data=data, headers={"Origin": origin})
        return self

    def follow(self, *, until: str = "") -> Self:
        """Follow redirections to the end, or up to the one whose address begins so, which is left alone."""
        while self.page.is_redirect and not (until and self.target.startswith(until)):
            self.open(self.target)
        return self

    @property
    def target(self) -> str:
        """Where the page redirects."""
        return str(self.page.url.join(self.page.headers["location"]))

    @property
    def query(self) -> dict[str, str]:
        """What the redirection carries."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def path(self) -> str:
        """The path shown, or the one the page redirects to."""
        return urlsplit(self.target).path if self.page.is_redirect else self.page.url.path

    def leave(self, landing: str = "") -> Self:
        """Go to the provider's page of people, or back at once when its session is still open."""
        return self.open(f"/connexion/proconnect/?next={landing}").open(self.target)

    def become(self, key: str, landing: str = "") -> Self:
        """Sign in as one of the people, up to the page where one lands, not fetched."""
        return self.leave(landing).press("persona", key).follow(until=f"{self.product}/connexion/retour/").arrive()

    def become_typed(self, landing: str = "", **person: Any) -> Self:
        """Sign in as somebody one types."""
        self.leave(landing).press("", **{"public": "on", "acr": "eidas1", **person})
        return self.follow(until=f"{self.product}/connexion/retour/").arrive()

    def arrive(self) -> Self:
        """Fetch the return, and only it."""
        return self.open(self.target) if self.page.is_redirect else self

    def sign_out(self) -> Self:
        """Press the button of the header, here and at the provider."""
        page = self.page if "/deconnexion/" in self.page.text else self.client.get(f"{self.product}/mentions-legales/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None, page.text
        data = {"csrfmiddlewaretoken": token[1]}
        self.page = page
        return self.post(f"{self.product}/deconnexion/", data).follow()

    @property
    def signed_in(self) -> bool:
        """Whether the product knows who this is."""
        return self.client.get(f"{self.product}/demandes/").status_code == 200
