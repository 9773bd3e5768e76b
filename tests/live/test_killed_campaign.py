"""`manage.py audit_all` killed by SIGKILL in the middle of the country: the next call ends it, and repeats nobody."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from onboarding.audits import workflow
from onboarding.audits.results_models import Examination, Shard
from tests.factories.directory import DeclaredContactFactory
from tests.live.hostile_web import HostileWeb
from tests.live.test_campaign import COMMUNES, records
from tests.live.zone_dns import ZoneDns

pytestmark = [pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parents[2]


class SlowWeb(HostileWeb):
    """Takes its time, so that there is a middle to be killed in."""

    def _honest(self, link: socket.socket, scheme: str, host: str, path: str) -> None:
        time.sleep(0.15)
        super()._honest(link, scheme, host, path)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[SlowWeb]:
    with SlowWeb(tmp_path) as served:
        yield served


def command(zone: ZoneDns, web: SlowWeb, log: Path) -> subprocess.Popen[bytes]:
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    where = "{}:{}".format(*zone.address)
    with log.open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "manage.py", "audit_all", "--here", "--resolver", where, "--every", "0.1"],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "DATABASE_URL": database.geturl(),
                "AUDIT_HTTP_PORT": str(web.http),
                "AUDIT_HTTPS_PORT": str(web.https),
                "AUDIT_SMTP_PORT": "1",
                "AUDIT_CA_FILE": str(web.authority.file),
                "AUDIT_PRIVATE_ADDRESSES": "true",
            },
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def wait_for(number: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 40
    while Examination.objects.count() < number:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_a_campaign_killed_in_the_middle_ends_without_repeating_anybody(tmp_path: Path, web: SlowWeb) -> None:
    for at in range(COMMUNES):
        DeclaredContactFactory.create(declared_email=f"mairie@c{at}.fr", declared_site=f"https://c{at}.fr/")
    run = workflow.start(shards=10)
    log = tmp_path / "log"
    with ZoneDns(records()) as zone:
        process = command(zone, web, log)
        try:
            wait_for(3, process, log)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)
        finished = dict(Examination.objects.values_list("pk", "checked_at"))
        assert 0 < len(finished) < COMMUNES
        # The lease of what it held when it died is over.
        Shard.objects.filter(status=Shard.Status.TODO).update(due_at=timezone.now())
        process = command(zone, web, log)
        try:
            assert process.wait(timeout=60) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
    assert workflow.progress(run.pk) == workflow.Progress(COMMUNES, COMMUNES, finished=True)
    again = dict(Examination.objects.values_list("pk", "checked_at"))
    assert {key: again[key] for key in finished} == finished
    assert len(again) == COMMUNES
    assert f"Terminé : {COMMUNES} collectivités." in log.read_text()
