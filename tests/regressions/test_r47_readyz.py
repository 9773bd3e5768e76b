"""R47. Upstream's health page is static. Ours fails when the broker, the beat or a worker stops."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as product
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.provisioning import engine
from onboarding.provisioning.models import Step
from suite import tasks
from suite.models import Heartbeat
from suite.notices.models import Notice
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def _beating() -> None:
    """Every task of the schedule has just ended well."""
    for entry in product.CELERY_BEAT_SCHEDULE.values():
        Heartbeat.objects.create(task=str(entry["task"]))


def parts(client: Client, status: int) -> dict[str, dict[str, object]]:
    answer = client.get("/readyz")
    assert answer.status_code == status, answer.content
    checks: dict[str, dict[str, object]] = answer.json()["checks"]
    return checks


@pytest.mark.usefixtures("_beating")
class TestR47:
    def test_r47_it_is_well_while_everything_beats(
        self, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(6):
            assert all(part["ok"] for part in parts(client, 200).values())

    def test_r47_a_stopped_beat_fails_it_within_a_minute(self, client: Client) -> None:
        with time_machine.travel(timezone.now() + timedelta(seconds=61)):
            found = parts(client, 503)
        assert not found["schedules"]["ok"]
        assert found["database"]["ok"]
        assert found["schedules"]["suite.tasks.beat"]["late"]  # type: ignore[index]

    def test_r47_a_schedule_that_never_ran_fails_it(self, client: Client) -> None:
        Heartbeat.objects.filter(task="suite.notices.tasks.sweep").delete()
        found = parts(client, 503)["schedules"]
        assert found["suite.notices.tasks.sweep"] == {"last": None, "late": True}

    def test_r47_a_broker_that_is_gone_fails_it(self, client: Client, settings: Settings, tmp_path: Path) -> None:
        settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path / "gone")}
        assert not parts(client, 503)["broker"]["ok"]
        (tmp_path / "gone").mkdir()
        assert parts(client, 200)["broker"]["ok"]

    def test_r47_mail_that_does_not_leave_fails_it(self, client: Client) -> None:
        Notice.objects.create(
            dedupe_key="k", kind="welcome", recipient="a@b.example", subject="s", body_text="t",
            next_at=timezone.now() - timedelta(minutes=20),
        )  # fmt: skip
        outbox = parts(client, 503)["outbox"]
        assert 1190 < float(str(outbox["oldest_seconds"])) < 1300

    def test_r47_it_tells_the_oldest_block_and_the_last_success_of_each_provider(self, client: Client) -> None:
        built = deployment(registered=True)
        engine.advance(built.pk)
        Step.objects.filter(deployment=built, name="storage").update(
            status="blocked", finished_at=None, due_at=timezone.now() - timedelta(hours=3)
        )
        found = parts(client, 200)
        assert 10_700 < float(str(found["dead_letters"]["oldest_seconds"])) < 10_900
        assert found["providers"]["storage"] is None
        assert found["providers"]["registrar"]
        assert found["providers"]["mail"]


def test_r47_a_task_of_the_schedule_leaves_a_heartbeat_when_it_ends_well_and_only_then() -> None:
    tasks.beat.apply()
    assert Heartbeat.objects.get().task == "suite.tasks.beat"
    before = Heartbeat.objects.get().at
    tasks.beat.apply(args=("too", "many"))
    assert Heartbeat.objects.get().at == before


def test_r47_the_process_alone_says_nothing_of_the_rest(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200
