"""Limits as a real site has them: nginx in front of two web processes, and visitors at several addresses.

The whole 127.0.0.0/8 is this machine, so that one machine has as many visitors' addresses as a test wants.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import global_settings
from django.db import connection
from django.test.utils import override_settings

from suite.accounts import breakglass
from suite.accounts.models import Tally
from tests.live.proconnect import free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
ATTACKER, HONEST = "127.0.0.2", "127.0.0.3"
DOOR = "/secours/connexion/"
LIMIT = breakglass.STRANGERS["limit"]
CONFIGURATION = """
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log {place}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    upstream web {{ server 127.0.0.1:{first}; server 127.0.0.1:{second}; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://web;
            proxy_set_header Host $http_host;
            # As docs/configuration.md asks: what the visitor wrote, then the address that nginx sees.
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            add_header X-Served-By $upstream_addr always;
        }}
    }}
}}
"""


@dataclass
class Site:
    """A site behind its proxy."""

    url: str

    def visitor(self, address: str) -> httpx.Client:
        """Return the browser of somebody at this address."""
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(base_url=self.url, transport=transport, trust_env=False, timeout=20)

    def knock(
        self, visitor: httpx.Client, name: str = "coffre-9", wrong: str = "faux", forged: str = ""
    ) -> httpx.Response:
        """Try a name and a password at the break-glass door; its page is fetched once, whatever is tried then."""
        token = visitor.cookies.get("suite_csrf") or visitor.get(DOOR).cookies["suite_csrf"]
        form = {"csrfmiddlewaretoken": token, "login": name, "password": wrong}
        return visitor.post(DOOR, data=form, headers={"X-Forwarded-For": forged} if forged else {})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if NGINX is None:
        pytest.skip("no nginx here: install nginx-light, or run as root on Debian or Ubuntu")
    port, first, second = free_port(), free_port(), free_port()
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}},
        "DJANGO_SETTINGS_MODULE": "suite.settings",
        "DATABASE_URL": database.geturl(),
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "LOCAL_DIR": str(tmp_path),
        "TRUSTED_PROXIES": "1",
    }
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(place=tmp_path, port=port, first=first, second=second))
    commands = [
        *(
            [sys.executable, "-m", "gunicorn", "suite.wsgi", "--bind", f"127.0.0.1:{one}", "--no-control-socket"]
            for one in (first, second)
        ),
        [NGINX, "-p", str(tmp_path), "-c", str(configuration)],
    ]
    log = tmp_path / "output.log"
    with ExitStack() as stack, log.open("ab") as output:
        for command in commands:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
        for one in (first, second, port):
            wait(f"http://127.0.0.1:{one}/healthz", log)
        yield Site(f"http://127.0.0.1:{port}")


def wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def counted(address: str) -> int:
    """Return how many tries the site counted for an address."""
    known = hashlib.sha256(address.encode()).hexdigest()
    row = Tally.objects.filter(scope="break-glass stranger", digest=known).first()
    return row.count if row else 0


def test_an_attacker_is_counted_by_its_own_address_in_both_processes_whatever_it_forges(site: Site) -> None:
    with override_settings(PASSWORD_HASHERS=global_settings.PASSWORD_HASHERS):  # the site's, not the tests' quick one
        envelope = breakglass.create("coffre-1")
    served: Counter[str] = Counter()
    answers = []
    with site.visitor(ATTACKER) as attacker:
        for number in range(LIMIT + 4):
            # Another forged past each time, the honest person's own address among them.
            answer = site.knock(attacker, forged=HONEST if number % 2 else f"198.51.100.{number}, 10.0.0.{number}")
            answers.append(answer.status_code)
            served[answer.headers["X-Served-By"]] += 1

    assert len(served) == 2, "one process answered all"
    assert answers == [422] * LIMIT + [429] * 4, "each process counted for itself, or the forged address was believed"
    assert counted(ATTACKER) == LIMIT + 4
    assert counted(HONEST) == counted("127.0.0.1") == 0

    # From elsewhere, a stranger's first try and the holder's own are heard; so is the holder behind the same address.
    for address in (HONEST, ATTACKER):
        with site.visitor(address) as holder:
            assert site.knock(holder, envelope.name, envelope.password).headers["location"].endswith("second-facteur/")
    with site.visitor(HONEST) as honest:
        assert site.knock(honest).status_code == 422
    assert counted(HONEST) == 1


def test_a_second_host_name_is_led_to_the_first_through_the_proxy(site: Site) -> None:
    port = urlsplit(site.url).port
    with site.visitor(HONEST) as visitor:
        answer = visitor.get("/connexion/?next=/demandes/", headers={"Host": f"localhost:{port}"})
        assert answer.status_code == 302
        assert answer.headers["location"] == f"{site.url}/connexion/?next=/demandes/"
        assert visitor.get("/connexion/", headers={"Host": "evil.example"}).status_code == 400
