"""A copy of everything: complete, verifiable, resumed after any death, bounded, and gone after seven days."""

import contextlib
import csv
import hashlib
import io
import json
import mailbox
import os
import signal
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import exporting
from onboarding.provisioning.archive import Archive, TooLargeError, safe_path
from onboarding.provisioning.backends.local import LocalMail, LocalStorage
from onboarding.provisioning.change_models import Export
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment, Resource
from suite.catalog.models import GB
from suite.journal.models import Event
from tests.provisioning.living import live, manager

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
MESSAGE = b"From: a@b.example\r\nSubject: Bonjour\r\n\r\nFrom la mairie\r\n>From quelqu'un\r\n"


@pytest.fixture(autouse=True)
def _own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path / "exports"


def full(files: dict[str, bytes]) -> Deployment:
    """Return a suite with messages and files."""
    suite = live()
    for folder in ("INBOX", "Archives/2025"):
        LocalMail().import_message(
            f"mairie@{suite.domain}", folder, MESSAGE, received_at=datetime(2026, 3, 3, tzinfo=UTC), seen=True
        )
    space = f"org-{suite.organization_id}"
    key = LocalStorage().reissue_key(space)
    for name, body in files.items():
        LocalStorage().put(key, space, name, body)
    return suite


def opened(export: Export) -> zipfile.ZipFile:
    return zipfile.ZipFile(exporting.folder_of(export) / "archive.zip")


def inventory(archive: zipfile.ZipFile) -> dict[str, tuple[str, int, str]]:
    text = archive.read("INVENTAIRE.csv").decode()
    head, _, rest = text.partition("\n")
    assert head.startswith("fichier")
    return {row[0]: (row[1], int(row[2]), row[3]) for row in csv.reader(io.StringIO(rest))}


class TestRun:
    def test_everything_is_in_it_and_the_inventory_proves_it(self, tmp_path: Path) -> None:
        files = {"Conseil/séance du 3 mars.pdf": b"x" * 3000, "../../etc/passwd": b"mechant", "a:b?.txt": b"noms"}
        suite = full(files)
        export = exporting.ask(suite, by=manager(suite))
        assert exporting.run(export.pk)
        export.refresh_from_db()
        path = exporting.folder_of(export) / "archive.zip"
        assert (export.size, export.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        with opened(export) as archive:
            assert archive.testzip() is None
            told = inventory(archive)
            names = set(archive.namelist()) - {"INVENTAIRE.csv"}
            assert names == set(told)
            for name, (_, size, digest) in told.items():
                body = archive.read(name)
                assert (len(body), hashlib.sha256(body).hexdigest()) == (size, digest)
            assert {told[name][0] for name in names if name.startswith("fichiers/")} == set(files)
            assert not any(".." in name.split("/") or name.startswith("/") for name in names)
            assert "SOA" in archive.read(f"zone/{suite.domain}.zone").decode()
            assert json.loads(archive.read("dossier/service.json"))["domain"] == suite.domain
            mbox = tmp_path / "inbox.mbox"
            mbox.write_bytes(archive.read(f"boites/mairie@{suite.domain}/INBOX.mbox"))
            assert f"boites/mairie@{suite.domain}/Archives/2025.mbox" in names
        with contextlib.closing(mailbox.mbox(mbox, create=False)) as messages:
            assert [one["Subject"] for one in messages] == ["Bonjour"]
        assert [one.name for one in path.parent.iterdir()] == ["archive.zip"]

    def test_what_a_provider_cannot_hand_over_is_said_in_the_copy(self, settings: Settings) -> None:
        suite = full({})

        settings.BACKENDS = {**settings.BACKENDS, "mail": "tests.provisioning.living.SilentMail"}
        export = exporting.ask(suite, by=manager(suite))
        assert exporting.run(export.pk)
        with opened(export) as archive:
            assert "ne laisse pas relire" in archive.read(f"non-copie/mairie@{suite.domain}.txt").decode()
        assert export.parts.filter(note__contains="ne laisse pas relire").count() == 2

    def test_a_store_out_of_reach_is_tried_again_and_done_parts_are_not(self, settings: Settings) -> None:
        suite = full({"a": b"1"})

        export = exporting.ask(suite, by=manager(suite))
        whole = settings.BACKENDS
        settings.BACKENDS = {**whole, "storage": "tests.provisioning.living.AwayStorage"}
        assert not exporting.run(export.pk)
        settings.BACKENDS = whole
        export.refresh_from_db()
        assert (export.failures, export.note) == (1, f"Le stockage org-{suite.organization_id} ne répond pas.")
        done = list(export.parts.filter(done_at__isnull=False).values_list("position", "done_at"))
        assert len(done) == export.parts.count() - 1
        Export.objects.update(due_at=timezone.now())
        assert exporting.run(export.pk)
        assert (
            list(export.parts.filter(position__in=[one for one, _ in done]).values_list("position", "done_at")) == done
        )
        with opened(export) as archive:
            assert archive.testzip() is None

    def test_more_than_the_bound_is_given_up_and_said(self, settings: Settings) -> None:
        suite = full({"gros": os.urandom(300_000)})
        export = exporting.ask(suite, by=manager(suite))
        settings.EXPORT_MOST_BYTES = 100_000
        assert not exporting.run(export.pk)
        export.refresh_from_db()
        assert export.given_up_at is not None
        assert "écrivez à votre opérateur" in export.note
        exporting.expire()
        assert not exporting.folder_of(export).exists()

    def test_two_workers_do_not_make_one_copy_twice(self) -> None:
        suite = full({})
        export = exporting.ask(suite, by=manager(suite))
        Export.objects.filter(pk=export.pk).update(due_at=timezone.now() + timedelta(minutes=1), attempt=1)
        assert not exporting.run(export.pk)
        assert not export.parts.filter(done_at__isnull=False).exists()

    def test_a_worker_that_lost_its_lease_writes_nothing_more(self) -> None:
        suite = full({})
        export = exporting.ask(suite, by=manager(suite))
        export.attempt = 7  # as another worker's
        with pytest.raises(exporting.LostError):
            exporting._Pulse(export).beat(now=True)  # noqa: SLF001 - the fence itself


class TestAsk:
    def test_one_at_a_time_and_not_beyond_the_bound(self) -> None:
        suite = live()
        exporting.ask(suite, by=manager(suite))
        with pytest.raises(WrongState, match="déjà en cours"):
            exporting.ask(suite, by=manager(suite))
        Export.objects.update(given_up_at=timezone.now())
        Resource.objects.filter(deployment=suite, kind="storage").update(observed={"used": 90 * GB})
        with pytest.raises(WrongState, match="90"):
            exporting.ask(suite, by=manager(suite))


class TestExpire:
    def test_a_copy_is_gone_after_seven_days(self) -> None:
        suite = full({})
        export = exporting.ask(suite, by=manager(suite))
        exporting.run(export.pk)
        assert exporting.expire() == 0
        Export.objects.update(expires_at=timezone.now())
        assert exporting.expire() == 1
        assert not exporting.folder_of(export).exists()
        export.refresh_from_db()
        assert not export.available
        assert exporting.downloaded(export, by=manager(suite)) is None
        assert Event.objects.filter(subject=suite.pk, kind="export_deleted").count() == 1


class TestArchive:
    def test_whatever_is_written_after_the_last_part_is_dropped(self, tmp_path: Path) -> None:
        with Archive(tmp_path, ended=0, most=10**9, alive=lambda: None) as archive:
            archive.add("a.txt", [b"un"])
            ended = archive.finish_part(1)
            archive.add("b.txt", [os.urandom(5000)])
        with Archive(tmp_path, ended=ended, most=10**9, alive=lambda: None) as archive:
            archive.add("B.txt", [b"deux"])
            archive.add("b.txt", [b"trois"])
            archive.finish_part(2)
        with zipfile.ZipFile(tmp_path / "archive.zip") as read:
            assert {name: read.read(name) for name in read.namelist()} == {
                "a.txt": b"un",
                "B.txt": b"deux",
                "b-2.txt": b"trois",
            }

    def test_the_bound_holds_within_a_file(self, tmp_path: Path) -> None:
        with (
            pytest.raises(TooLargeError),
            Archive(tmp_path, ended=0, most=100_000, alive=lambda: None) as archive,
        ):
            archive.add("a", (os.urandom(1 << 20) for _ in range(50)))
        assert (tmp_path / "archive.zip").stat().st_size < 3 << 20

    @pytest.mark.parametrize(
        ("key", "path"),
        [
            ("../../etc/passwd", "etc/passwd"),
            ("/racine", "racine"),
            ("C:\\Windows\\a.txt", "C--Windows-a.txt"),
            ("séance n° 3.pdf", "séance n° 3.pdf"),
            ("Conseil/NUL.txt", "Conseil/_NUL.txt"),
            ("..", "_"),
            ("zéro\x00.txt", "zéro-.txt"),
        ],
    )
    def test_a_name_stays_where_it_is_unpacked(self, key: str, path: str) -> None:
        assert safe_path(key) == path


KILLED = """
import os, signal, django
django.setup()
from onboarding.provisioning import exporting
from onboarding.provisioning.archive import Archive
finish = Archive.finish_part
def deadly(self, position):
    ended = finish(self, position)
    if position == int(os.environ["DIE_AFTER"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return ended
if os.environ["DIE_BEFORE_WRITING"] == "1":
    Archive.finish_part = deadly
else:
    add = Archive.add
    def die(self, name, pieces, **told):
        if name.startswith("fichiers/"):
            add(self, name, pieces, **told)
            os.kill(os.getpid(), signal.SIGKILL)
        return add(self, name, pieces, **told)
    Archive.add = die
exporting.run(os.environ["EXPORT"])
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before_writing", ["1", "0"], ids=["between two parts", "within a part"])
def test_a_worker_killed_leaves_what_is_finished_to_the_next(
    settings: Settings, tmp_path: Path, before_writing: str
) -> None:
    files = {f"fichier {number}.bin": os.urandom(20_000) for number in range(5)}
    suite = full(files)
    export = exporting.ask(suite, by=manager(suite))
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "suite.settings",
        "DATABASE_URL": database.geturl(),
        "LOCAL_WORLD": str(settings.LOCAL_WORLD),
        "EXPORTS_DIR": str(settings.EXPORTS_DIR),
        "EXPORT": str(export.pk),
        "DIE_AFTER": "3",
        "DIE_BEFORE_WRITING": before_writing,
    }
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=ROOT, env=environment, check=False, timeout=60, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    done = list(export.parts.filter(done_at__isnull=False).order_by("position").values_list("position", "done_at"))
    assert len(done) == (2 if before_writing == "1" else export.parts.count() - 1)
    assert not exporting.run(export.pk), "its lease holds for two minutes"
    Export.objects.update(due_at=timezone.now())
    assert exporting.run(export.pk)
    again = export.parts.filter(position__in=[one for one, _ in done]).order_by("position")
    assert list(again.values_list("position", "done_at")) == done
    with opened(export) as archive:
        assert archive.testzip() is None
        told = inventory(archive)
        assert set(archive.namelist()) - {"INVENTAIRE.csv"} == set(told)
        copied = {told[name][0]: archive.read(name) for name in told if name.startswith("fichiers/")}
    assert copied == files
