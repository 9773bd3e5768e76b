"""Old mail brought over from a real Dovecot, by workers that are killed: all of it arrives, and nothing twice."""

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.db import connection
from pytest_django import Settings

from onboarding.provisioning import engine, mail_import, moves
from onboarding.provisioning import mail_import_workflow as verbs
from onboarding.provisioning.backends import imap
from onboarding.provisioning.backends.local import LocalDns, LocalMail
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.backends.world import opened
from onboarding.provisioning.errors import Refused
from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.move_models import BroughtMessage, MailImport
from suite.accounts.models import User
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.provisioning import deployment
from tests.live.old_server import HOST, LOGIN, PASSWORD, PROGRAM, OldServer, running

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.xdist_group("dovecot"),
    pytest.mark.skipif(
        os.environ.get("CI") != "true" and (PROGRAM is None or os.geteuid() != 0),
        reason="needs dovecot (apt install dovecot-imapd) and root",
    ),
]
ADDRESS = "jeanne.martin"


@pytest.fixture
def server(settings: Settings) -> Iterator[OldServer]:
    settings.AUDIT_PRIVATE_ADDRESSES = True
    # In memory where there is some: a thousand messages are not a thousand waits for a disk. And not in pytest’s own
    # folder, which other users may not cross: Dovecot reads mail as another one.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - each has a folder of its own there
    with (
        tempfile.TemporaryDirectory(prefix="new-mail-", dir=memory) as world,
        tempfile.TemporaryDirectory(prefix="old-server-", dir=memory) as place,
        running(Path(place)) as server,
    ):
        settings.LOCAL_WORLD = Path(world) / "world.sqlite3"
        settings.AUDIT_CA_FILE = str(server.authority)
        dns = LocalDns()
        dns.ensure_zone("ancien.example", owner="tests")
        dns.ensure_records("ancien.example", [Record(HOST, "A", ("127.0.0.1",))], owner="tests")
        yield server


@pytest.fixture
def built() -> Deployment:
    built = deployment()
    until = time.monotonic() + 30
    while not Deployment.objects.get(pk=built.pk).finished and time.monotonic() < until:
        engine.advance(built.pk)
    return built


@pytest.fixture
def manager(built: Deployment) -> User:
    user: User = MembershipFactory.create(organization=built.organization, manager=True).user
    return user


@pytest.fixture
def box(built: Deployment) -> Resource:
    return built.resources.get(kind=Resource.Kind.MAILBOX, key__startswith=f"{ADDRESS}@")


def message(number: int, text: str = "Bonjour.", *, name: str = "") -> bytes:
    head = f"From: a@ailleurs.example\nTo: {LOGIN}\nSubject: Essai {number}\nMessage-ID: <{name or number}@old>\n\n"
    return (head + text + "\n").encode()


def start(box: Resource, server: OldServer, by: User, *, password: str = PASSWORD) -> MailImport:
    return verbs.start(box, by=by, host=HOST, login=LOGIN, password=password, port=server.port)


def work(row: MailImport, *, slices: int = 100) -> MailImport:
    """Work as workers do, slice after slice, until there is nothing to do by itself."""
    for _ in range(slices):
        MailImport.objects.filter(pk=row.pk, due_at__isnull=False).update(due_at=dt.datetime.now(dt.UTC))
        if not moves.run("mail_import", row.pk):
            break
    return MailImport.objects.get(pk=row.pk)


def here(box: Resource) -> Counter[tuple[str, str]]:
    """Return what the new mailbox holds: (folder, fingerprint), counted."""
    return Counter((folder, mail_import.fingerprint(raw)) for folder, raw in LocalMail().export_messages(box.key))


def test_workers_killed_between_putting_and_noting_bring_everything_once(
    server: OldServer, box: Resource, manager: User, tmp_path: Path, settings: Settings
) -> None:
    sent: list[tuple[str, bytes]] = []
    for number in range(2000):
        sent.append(("Archives/État civil/2019", message(number)))
        server.put("Archives.&AMk-tat civil.2019", sent[-1][1], seen=number % 2 == 0)
    sent.append(("INBOX", message(9001, "x" * 76 + "\n" * 2 + ("y" * 76 + "\n") * 130_000)))
    server.put("", sent[-1][1])
    # The same message twice in one folder, as old mailboxes have: both are brought.
    for _ in range(2):
        sent.append(("INBOX", message(9002)))
        server.put("", sent[-1][1])
    broken = b"\xff\xfeno header at all\x00\r\nbare\nline ends\n"
    server.put("", broken)
    sent.append(("INBOX", broken.replace(b"\x00", b"\x80")))  # as Dovecot itself gives a NUL: IMAP has none
    sent.append(("Sent", message(9003)))
    server.put("Envoy&AOk-s", sent[-1][1], at=dt.datetime(2012, 1, 2, 3, 4, 5, tzinfo=dt.UTC))
    server.put("Corbeille", message(9004))  # left, as asked
    server.put("Factures", message(9005), readable=False)  # the server itself cannot read it
    sent.append(("Factures", message(9006)))
    server.put("Factures", sent[-1][1])
    server.own()
    row = start(box, server, manager)

    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "tests.provisioning.worker_settings",
        "DATABASE_URL": database.geturl(), "LOCAL_WORLD": str(settings.LOCAL_WORLD), "TEST_BROKER": str(tmp_path),
        "PROVISIONING_LEASE_SECONDS": "3", "AUDIT_PRIVATE_ADDRESSES": "1", "AUDIT_CA_FILE": str(server.authority),
        "MAIL_BACKEND": "tests.live.import_worker.DyingMail", "COUNT_FILE": str(tmp_path / "count"),
        "DEATHS": "1,2,700,1999", "SECRET_KEY": settings.SECRET_KEY,
    }  # fmt: skip
    deaths, until, log = 0, time.monotonic() + 300, tmp_path / "worker.log"
    while time.monotonic() < until:
        with log.open("ab") as out:
            ended = subprocess.run(
                [sys.executable, "-m", "tests.live.import_worker", str(row.pk)],
                cwd=ROOT, env=environment, check=False, timeout=300, stdout=out, stderr=out,
            )  # fmt: skip
        deaths += ended.returncode == -9
        if ended.returncode != -9:
            break

    row.refresh_from_db()
    assert (row.state, row.code, row.note, deaths) == ("done", "", "", 4), log.read_text()[-3000:]
    assert here(box) == Counter((folder, mail_import.fingerprint(raw)) for folder, raw in sent)
    seen = mail_import.progress(row)
    assert (seen.brought, seen.failed, seen.remaining, seen.folders) == (len(sent), 1, 0, seen.folders_done)
    assert seen.bytes_brought > 10_000_000
    assert BroughtMessage.objects.get(state="failed").reason in {"unreadable", "refused"}
    assert row.sealed_password == ""
    with opened() as world:
        dates = dict(world.execute("SELECT folder, min(received_at) FROM messages GROUP BY folder").fetchall())
        unseen = world.execute("SELECT count(*) FROM messages WHERE NOT seen").fetchone()[0]
    assert dates["Sent"] == "2012-01-02T03:04:05+00:00"
    assert unseen == 1000
    assert Notice.objects.filter(kind="mail_import_done", recipient=manager.email).count() == 1


def test_what_arrived_since_is_brought_by_a_second_pass_and_nothing_again(
    server: OldServer, box: Resource, manager: User
) -> None:
    for number in range(3):
        server.put("", message(number))
    server.own()
    row = work(start(box, server, manager))
    assert row.state == "done"
    server.put("", message(7, "Arrivé depuis."))
    server.own()

    again = work(start(box, server, manager))

    assert again.pk == row.pk
    assert sum(here(box).values()) == 4
    assert max(here(box).values()) == 1


def test_a_folder_that_the_old_server_renumbers_is_not_brought_twice(
    server: OldServer, box: Resource, manager: User
) -> None:
    for number in range(5):
        server.put("", message(number))
    server.own()
    work(start(box, server, manager))
    time.sleep(1.1)  # Dovecot numbers a folder by the second
    inside = server.place / "mail" / LOGIN
    for path in [*inside.glob("dovecot*")]:
        path.unlink()  # its indexes are lost: other UIDs, another UIDVALIDITY
    server.put("", message(50), at=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))  # first of all, now
    server.own()

    row = work(start(box, server, manager))

    assert row.state == "done"
    assert sum(here(box).values()) == 6
    assert max(here(box).values()) == 1
    assert mail_import.progress(row).brought == 6


def test_a_wrong_password_is_asked_again_and_not_tried_again(
    server: OldServer, box: Resource, manager: User, caplog: pytest.LogCaptureFixture
) -> None:
    server.put("", message(1))
    server.own()
    row = work(start(box, server, manager, password="pas le bon"))

    assert (row.state, row.code, row.sealed_password, row.due_at) == ("stopped", "bad_password", "", None)
    assert "mot de passe" in row.note
    assert Notice.objects.filter(kind="mail_import_stopped", recipient=manager.email).count() == 1
    with pytest.raises(verbs.ImportRefused, match="mot de passe"):
        verbs.resume(row, by=manager)
    verbs.resume(row, by=manager, password=PASSWORD)
    assert PASSWORD not in MailImport.objects.get(pk=row.pk).sealed_password
    assert work(row).state == "done"
    assert PASSWORD not in caplog.text
    assert all(PASSWORD not in each.body_text for each in Notice.objects.all())
    assert mail.outbox == []


def test_a_full_mailbox_stops_kindly_and_goes_on_where_it_was(server: OldServer, box: Resource, manager: User) -> None:
    for number in range(6):
        server.put("", message(number, "z" * 10_000))
    server.own()
    LocalMail().ensure_mailbox_quota(box.key, 35_000)

    row = work(start(box, server, manager))

    assert (row.state, row.code) == ("stopped", "over_quota")
    assert "3 messages sont apportés, il en reste 3" in row.note
    LocalMail().ensure_mailbox_quota(box.key, None)
    verbs.resume(row, by=manager)
    assert work(row).state == "done"
    assert sorted(here(box).values()) == [1] * 6


def test_a_pause_holds_and_the_rest_comes_after_it(server: OldServer, box: Resource, manager: User) -> None:
    for number in range(4):
        server.put("", message(number))
    server.own()
    row = start(box, server, manager)
    verbs.pause(row, by=manager)
    assert not moves.run("mail_import", row.pk)
    assert sum(here(box).values()) == 0
    verbs.resume(MailImport.objects.get(pk=row.pk), by=manager)
    assert work(row).state == "done"


def test_a_server_with_another_name_s_certificate_is_never_told_the_password(
    server: OldServer, box: Resource, manager: User, settings: Settings
) -> None:
    dns = LocalDns()
    dns.ensure_records("ancien.example", [Record("autre.ancien.example", "A", ("127.0.0.1",))], owner="tests")
    row = verbs.start(box, by=manager, host="autre.ancien.example", login=LOGIN, password=PASSWORD, port=server.port)
    row = work(row)
    assert (row.state, row.code) == ("stopped", "bad_certificate")
    assert "no auth attempts" in (server.place / "log").read_text()


def test_an_address_inside_is_never_contacted(server: OldServer, settings: Settings) -> None:
    settings.AUDIT_PRIVATE_ADDRESSES = False
    with (
        pytest.raises(Refused, match="private_address"),
        imap.opened(imap.Account(HOST, LOGIN, PASSWORD, server.port), seconds=5),
    ):
        pass
    assert (server.place / "log").read_text().count("imap-login") <= 1  # only what waited for it to start
