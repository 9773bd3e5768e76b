"""The engine: how a step is taken, how it ends, and what happens when two workers, or none, are there."""

import itertools
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from celery.exceptions import SoftTimeLimitExceeded
from django.db import close_old_connections, connection
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import changes, engine, steps
from onboarding.provisioning.backends.local import LocalDns, LocalStorage
from onboarding.provisioning.backends.world import listing
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.workflow import MailboxPlan
from suite.catalog.models import GB, Subscription
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.provisioning import deployment
from tests.provisioning.trouble import MailAtFirstLogin, Troubled

pytestmark = pytest.mark.django_db
Status = Deployment.Status


@pytest.fixture(autouse=True)
def _trouble(settings: Settings) -> Iterator[None]:
    """Let tests say what the outside answers: see `trouble.py`."""
    settings.BACKENDS = {**settings.BACKENDS, "storage": "tests.provisioning.trouble.TroubledStorage"}
    Troubled.raises.clear()
    yield
    Troubled.raises.clear()


def storage_step(built: Deployment) -> Step:
    return built.steps.select_related("resource").get(name="storage")


def kinds(built: Deployment) -> list[str]:
    return [event.kind for event in Event.objects.about("deployment", built.pk)]


class TestAWholePlan:
    @pytest.mark.parametrize("plan", [{}, {"registered": True}], ids=["shared", "registered"])
    def test_is_built_by_one_wake(self, plan: dict[str, bool]) -> None:
        built = deployment(**plan)
        before = built.status
        engine.advance(built.pk)
        assert (before, built.status) == (Status.QUEUED, Status.LIVE)
        world = listing()
        assert [box["address"] for box in world["mailboxes"]] == [
            f"jeanne.martin@{built.domain}",
            f"mairie@{built.domain}",
        ]
        assert [(space["quota"], space["used"]) for space in world["spaces"]] == [(10 * GB, 0)]
        assert {zone["name"] for zone in world["zones"]} >= {built.domain}
        assert set(Subscription.objects.filter(organization=built.organization).values_list("service", "quota")) == {
            (58, None),
            (2, 10 * GB),
            (12, 10 * GB),
        }
        assert kinds(built) == ["started", "completed"]

    def test_writes_what_was_seen_and_when(self) -> None:
        built = deployment()
        engine.advance(built.pk)
        unseen = Resource.objects.filter(deployment=built, observed__isnull=True)
        assert not unseen.exists()
        assert Resource.objects.get(deployment=built, kind="storage").observed == {"quota": 10 * GB, "used": 0}

    def test_welcomes_once_however_often_it_is_woken(self) -> None:
        built = deployment()
        for _ in range(3):
            engine.advance(built.pk)
        notice = Notice.objects.get(kind="welcome")
        assert notice.recipient == built.welcome_email
        assert f"mairie@{built.domain}" in notice.body_text
        assert "\xa0Go" in notice.body_text

    def test_every_step_run_again_leaves_the_same_world(self) -> None:
        built = deployment(registered=True)
        engine.advance(built.pk)
        once = listing()
        for step in built.steps.select_related("deployment__organization", "resource"):
            steps.perform(step)
            assert listing() == once, step.name
        assert Notice.objects.filter(kind="welcome").count() == 1

    def test_every_step_run_twice_at_once_leaves_the_same_world(self) -> None:
        built = deployment()
        while (step := engine.claim(built.pk)) is not None:
            steps.perform(step)
            steps.perform(step)
            engine.finish(step, None)
        assert built.status == Status.LIVE
        created = [(each["what"], each["key"]) for each in listing()["created"]]
        assert len(created) == len(set(created))

    def test_a_closed_deployment_is_left_alone(self) -> None:
        built = deployment()
        Deployment.objects.filter(pk=built.pk).update(closed_at=timezone.now())
        assert engine.advance(built.pk) == 0


class TestEnds:
    def test_not_yet_waits_without_failing(self) -> None:
        built = deployment()
        Troubled.raises["ensure_space"] = NotYet("registry", "Le registre travaille.", after=timedelta(hours=1))
        engine.advance(built.pk)
        step = storage_step(built)
        assert (step.status, step.failures, step.code) == ("waiting", 0, "registry")
        assert built.status == Status.WAITING
        assert timedelta(minutes=59) < step.due_at - timezone.now() <= timedelta(hours=1)
        assert engine.advance(built.pk) == 0

    def test_unavailable_comes_back_later_each_time_then_blocks(self) -> None:
        built = deployment()
        Troubled.raises["ensure_space"] = Unavailable("timeout", "Le stockage ne répond pas.")
        delays = []
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for _ in range(engine.FAILURES_MAX):
                engine.advance(built.pk)
                step = storage_step(built)
                delays.append(step.due_at - timezone.now())
                clock.move_to(step.due_at)
        assert (step.status, step.failures) == ("blocked", engine.FAILURES_MAX)
        assert built.status == Status.BLOCKED
        assert all(later > sooner for sooner, later in itertools.pairwise(delays[:7]))
        assert max(delays) <= engine.BACKOFF_MAX * 1.25
        assert kinds(built)[-1] == "step_blocked"

    def test_a_success_after_failures_forgets_them(self) -> None:
        built = deployment()
        Troubled.raises["ensure_space"] = Unavailable("timeout", "Le stockage ne répond pas.")
        engine.advance(built.pk)
        assert storage_step(built).failures == 1
        Troubled.raises.clear()
        Step.objects.filter(status="waiting").update(due_at=timezone.now())
        engine.advance(built.pk)
        step = storage_step(built)
        assert (step.status, step.failures, step.code, step.note) == ("done", 0, "", "")

    def test_refused_blocks_at_once_and_the_reason_is_kept(self) -> None:
        built = deployment()
        LocalStorage().ensure_space(f"org-{built.organization_id}", owner="somebody else")
        engine.advance(built.pk)
        step = storage_step(built)
        assert (step.status, step.code) == ("blocked", "conflict")
        assert "quelqu’un d’autre" in step.note

    def test_an_unexpected_exception_is_logged_and_tried_again(self, caplog: pytest.LogCaptureFixture) -> None:
        built = deployment()
        Troubled.raises["ensure_space"] = ValueError("surprise")
        engine.advance(built.pk)
        step = storage_step(built)
        assert (step.status, step.code, step.failures) == ("waiting", "unexpected", 1)
        assert "surprise" in caplog.text
        assert "surprise" not in step.note

    def test_the_soft_time_limit_gives_the_step_back_and_stops_the_task(self) -> None:
        built = deployment()
        Troubled.raises["ensure_space"] = SoftTimeLimitExceeded()
        with pytest.raises(SoftTimeLimitExceeded):
            engine.advance(built.pk)
        assert storage_step(built).code == "time_limit"

    def test_one_mailbox_that_is_refused_does_not_stop_the_others(self, settings: Settings) -> None:
        boxes = (
            MailboxPlan("accueil", "Accueil", "shared"),
            MailboxPlan("mairie", "Mairie", "shared"),
            MailboxPlan("urbanisme", "Urbanisme", "shared"),
        )
        built = deployment(mailboxes=boxes)
        settings.BACKENDS = {**settings.BACKENDS, "mail": "tests.provisioning.trouble.MailWithoutMairie"}
        engine.advance(built.pk)
        statuses = {
            step.resource.key.partition("@")[0]: step.status
            for step in built.steps.filter(name="mailbox").select_related("resource")
            if step.resource
        }
        assert statuses == {"accueil": "done", "mairie": "blocked", "urbanisme": "done"}
        # Nor what follows: the commune goes live, the leftover in sight.
        assert [step.name for step in built.steps.exclude(status="done")] == ["mailbox"]
        assert built.status == Status.BLOCKED

    def test_a_mailbox_that_waits_for_its_holder_lets_the_welcome_go(self, settings: Settings) -> None:
        settings.BACKENDS = {**settings.BACKENDS, "mail": "tests.provisioning.trouble.MailAtFirstLogin"}
        built = deployment()
        engine.advance(built.pk)
        welcome = Notice.objects.get(kind="welcome")
        assert f"jeanne.martin@{built.domain}" in welcome.body_text
        assert "se connecte pour la première fois" in welcome.body_text
        assert (built.status, changes.in_service(built)) == (Status.WAITING, True)
        # She signs in: the mailbox is there at the next look, and nobody is welcomed twice.
        MailAtFirstLogin.signed_in = True
        try:
            built.steps.filter(status="waiting").update(due_at=timezone.now())
            engine.advance(built.pk)
        finally:
            MailAtFirstLogin.signed_in = False
        assert Deployment.objects.get(pk=built.pk).status == Status.LIVE
        assert Notice.objects.filter(kind="welcome").count() == 1


class TestExternalDomain:
    def publish(self, built: Deployment, mx: str = "") -> None:
        """Do what the commune's webmaster does, in a zone that is not ours."""
        from onboarding.provisioning.backends import mail  # noqa: PLC0415
        from onboarding.provisioning.backends.protocols import Record  # noqa: PLC0415
        from onboarding.provisioning.records import mail_records  # noqa: PLC0415

        records = list(mail_records(built.domain, mail().spec(built.domain)))
        if mx:
            records[0] = Record(built.domain, "MX", (mx,))
        LocalDns().ensure_records(built.domain, records, owner="webmaster")

    def test_waits_for_the_commune_then_goes_on(self) -> None:
        built = deployment(external=True)
        LocalDns().ensure_zone(built.domain, owner="webmaster")
        engine.advance(built.pk)
        assert not built.steps.filter(name__in=["zone", "records", "registration"]).exists()
        step = built.steps.get(name="verification")
        assert (built.status, step.code, step.failures) == (Status.WAITING, "no_mx", 0)
        self.publish(built)
        with time_machine.travel(timezone.now() + timedelta(minutes=2)):
            engine.advance(built.pk)
        assert built.status == Status.LIVE

    def test_keeps_waiting_while_the_mail_goes_elsewhere(self) -> None:
        built = deployment(external=True)
        LocalDns().ensure_zone(built.domain, owner="webmaster")
        engine.advance(built.pk)
        self.publish(built, mx="10 mail.autre.example.")
        with time_machine.travel(timezone.now() + timedelta(minutes=2)):
            engine.advance(built.pk)
        assert built.steps.get(name="verification").code == "mx_differs"

    def test_a_dns_that_does_not_answer_is_never_taken_for_done(self) -> None:
        built = deployment(external=True)
        engine.advance(built.pk)
        step = built.steps.get(name="verification")
        assert (step.status, step.code) == ("waiting", "dns_refused")

    def test_after_a_month_an_operator_is_called(self) -> None:
        built = deployment(external=True)
        LocalDns().ensure_zone(built.domain, owner="webmaster")
        with time_machine.travel(timezone.now() + timedelta(days=31)):
            engine.advance(built.pk)
        assert built.steps.get(name="verification").code == "records_not_published"


class TestFencing:
    def test_a_worker_that_comes_back_late_changes_nothing(self, settings: Settings) -> None:
        built = deployment()
        late = engine.claim(built.pk)
        assert late is not None
        assert engine.claim(built.pk) is None
        with time_machine.travel(timezone.now() + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS + 1)):
            second = engine.claim(built.pk)
            assert second is not None
            assert (second.pk, second.attempt) == (late.pk, late.attempt + 1)
            assert not engine.finish(late, Refused("late", "Trop tard."))
            assert engine.finish(second, None)
            assert not engine.finish(late, Refused("late", "Trop tard."))
        step = built.steps.get(pk=late.pk)
        assert (step.status, step.code) == ("done", "")

    def test_a_killed_worker_leaves_its_step_to_the_next_sweep(self, settings: Settings) -> None:
        built = deployment()
        engine.claim(built.pk)
        assert engine.sweep() == 0
        with time_machine.travel(timezone.now() + timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS + 1)):
            assert engine.sweep() == 1
            engine.advance(built.pk)
        assert built.status == Status.LIVE


@pytest.mark.django_db(transaction=True)
class TestSeveralWorkers:
    def test_a_step_is_claimed_once(self) -> None:
        built = deployment()
        barrier, taken = threading.Barrier(4), []

        def work() -> None:
            try:
                barrier.wait(timeout=10)
                taken.append(engine.claim(built.pk))
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
        assert len(taken) == 4
        assert len([step for step in taken if step is not None]) == 1

    def test_two_workers_on_everything_build_it_once(self) -> None:
        built = deployment(mailboxes=tuple(MailboxPlan(f"boite{n}", f"Boîte {n}", "shared") for n in range(8)))
        barrier = threading.Barrier(2)

        def work() -> None:
            try:
                barrier.wait(timeout=10)
                for _ in range(200):
                    close_old_connections()
                    engine.advance(built.pk)
                    if Deployment.objects.get(pk=built.pk).finished:
                        return
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert built.status == Status.LIVE
        created = [(each["what"], each["key"]) for each in listing()["created"]]
        assert len(created) == len(set(created))
        assert [step.attempt for step in built.steps.all()] == [1] * built.steps.count()
        assert kinds(built) == ["started", "completed"]
        assert Notice.objects.filter(kind="welcome").count() == 1


class Killed(BaseException):
    """A SIGKILL, as near as one process can play it: no handler of ours sees it."""


def test_r26_killed_after_each_outside_call_it_converges_with_nothing_built_twice(settings: Settings) -> None:
    settings.BACKENDS = {
        **settings.BACKENDS,
        **{
            role: f"tests.provisioning.trouble.Mortal{role.title()}" for role in ["registrar", "dns", "mail", "storage"]
        },
    }
    built = deployment(registered=True)
    Troubled.survived.clear()
    deaths, now = 0, timezone.now()
    Troubled.dies = Killed
    with time_machine.travel(now, tick=False) as clock:
        while not built.finished and deaths < 100:
            try:
                engine.advance(built.pk)
            except Killed:
                deaths += 1
            clock.shift(timedelta(seconds=settings.PROVISIONING_LEASE_SECONDS + 1))
    Troubled.dies = None
    assert built.status == Status.LIVE
    assert deaths > 15
    created = [(each["what"], each["key"]) for each in listing()["created"]]
    assert len(created) == len(set(created))
    assert Notice.objects.filter(kind="welcome").count() == 1
