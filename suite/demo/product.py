"""What the demonstration is made of: its processes, its ports, its data."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from onboarding.provisioning.backends.local import NAME_SERVERS, LocalRegistrar
from suite.demo import contacts, figures, people, registry, staff
from suite.demo.supervisor import Child, answers, says, serves
from suite.embedded import LOCAL, ROOT
from suite.prepare import prepare as prepare_database

LOCK = LOCAL / "demo.lock"
LOGS = LOCAL / "logs"
PROCONNECT = "suite.demo.proconnect.wsgi"
DISCOVERY = "/api/v2/.well-known/openid-configuration"
CELERY = [sys.executable, "-m", "celery", "--app", "suite", "--quiet"]


def ports() -> tuple[int, int, int]:
    """Return the ports of the site, of the demonstration's ProConnect and of its DNS server: three in a row."""
    return settings.PORT, settings.PROCONNECT_PORT, settings.PORT + 2


def environment() -> dict[str, str]:
    """Return what every process is told; whatever the caller's environment says already wins."""
    web, proconnect, dns = ports()
    return {
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "suite.settings",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{web}",
        "PROCONNECT_DEMO": "1",
        "DNS_RESOLVER": f"127.0.0.1:{dns}",
        # Registries and name servers are pieces of the local world too: nothing here asks the internet.
        "RDAP_BASE_URLS": json.dumps({"*": f"http://127.0.0.1:{proconnect}/rdap/"}),
        "NAME_SERVER_ADDRESSES": json.dumps({host.rstrip("."): f"127.0.0.1:{dns}" for host in NAME_SERVERS}),
        "INBOUND_MAIL_DOMAIN": "retours.suite.example",
        **os.environ,
        "PORT": str(web),
        "PROCONNECT_PORT": str(proconnect),
    }


def children() -> list[Child]:
    """Return the six processes, in the order in which they start."""
    web, proconnect, dns = ports()

    def child(name: str, command: list[str], ready: Callable[[], bool]) -> Child:
        return Child(name, command, ready, LOGS / f"{name}.log", environment())

    return [
        child("proconnect", _gunicorn(PROCONNECT, proconnect, workers=1), serves(proconnect, DISCOVERY)),
        child("dns", [sys.executable, "manage.py", "local_dns", "--port", str(dns)], answers(dns)),
        child("web", _gunicorn("suite.wsgi", web, workers=2), serves(web, "/healthz")),
        child("worker", [*CELERY, "worker", *WORKER], says(LOGS / "worker.log", "ready.")),
        child("mail", [sys.executable, "manage.py", "receive_mail"], says(LOGS / "mail.log", "Receiving")),
        child("beat", [*CELERY, "beat", "--loglevel", "INFO", "--pidfile="], says(LOGS / "beat.log", "Starting")),
    ]


WORKER = [
    *("--loglevel", "INFO", "--concurrency", "2", "--hostname", "demo@localhost"),
    # Talk between workers, of which the demonstration has one.
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]


def _gunicorn(module: str, port: int, *, workers: int) -> list[str]:
    bind = f"127.0.0.1:{port}"
    gunicorn = [sys.executable, "-m", "gunicorn", module, "--bind", bind, "--workers", str(workers), "--threads", "4"]
    # The default place of its heartbeat file may be a slow disk; the log goes where every child's goes.
    return [*gunicorn, "--graceful-timeout", "3", "--no-control-socket"]


def prepare() -> None:
    """Bring the database up to date and put the demonstration's people and figures in it; quick when nothing is new."""
    for folder in (LOGS, Path(settings.EMAIL_FILE_PATH)):
        folder.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    prepare_database()
    staff.ensure_staff()
    contacts.ensure_contacts()
    figures.ensure_pilot()
    LocalRegistrar().ensure_registered(registry.ALREADY, owner=registry.SOMEBODY)


def roster() -> Iterator[str]:
    """Yield a line for each person one may sign in as."""
    yield "People one may sign in as (no password):"
    for person in people.PEOPLE:
        yield f"  {person.given_name} {person.usual_name} – {person.label}"
