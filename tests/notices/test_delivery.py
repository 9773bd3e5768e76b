"""A notice leaves once, whoever wakes it and however often; what keeps it from leaving is written in the ledger."""

import logging
import smtplib
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Event, Lock, Thread
from typing import Any, ClassVar

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from suite.notices import delivery, tasks
from suite.notices.models import Notice
from tests.factories.notices import NoticeFactory

HERE = f"{__name__}"


class Refusing(BaseEmailBackend):
    """A mail server that answers every message with the error it was told."""

    error: ClassVar[Exception]

    def send_messages(self, email_messages: Any) -> int:
        raise self.error


class Overtaken(BaseEmailBackend):
    """A mail server that refuses for good, but so late that another worker took over."""

    meanwhile: ClassVar[list[Callable[[], None]]] = []

    def send_messages(self, email_messages: Any) -> int:
        self.meanwhile.pop()()
        raise smtplib.SMTPDataError(554, b"no")


class Slow(BaseEmailBackend):
    """A mail server that takes its time, so that two workers meet."""

    lock: ClassVar[Lock] = Lock()
    sent: ClassVar[list[EmailMessage]] = []
    release: ClassVar[Event] = Event()

    def send_messages(self, email_messages: Any) -> int:
        self.release.wait(timeout=2)
        with self.lock:
            self.sent.extend(email_messages)
        return len(email_messages)


@pytest.fixture
def refusing(settings: Settings) -> type[Refusing]:
    settings.EMAIL_BACKEND = f"{HERE}.Refusing"
    return Refusing


@pytest.mark.django_db
class TestDeliver:
    def test_the_message_leaves_in_text_and_html_with_the_notice_s_own_id(self) -> None:
        notice = NoticeFactory.create()

        delivery.deliver(notice.pk)

        [message] = mail.outbox
        assert isinstance(message, mail.EmailMultiAlternatives)
        assert (message.subject, message.to) == ("Votre demande avance", [notice.recipient])
        assert message.alternatives[0][1] == "text/html"
        assert message.extra_headers["Message-ID"] == f"<{notice.pk}@suite.example>"
        notice.refresh_from_db()
        assert (notice.state, notice.attempts, notice.error) == (Notice.State.SENT, 1, "")
        assert notice.sent_at is not None

    def test_a_second_wake_sends_nothing(self) -> None:
        notice = NoticeFactory.create()

        delivery.deliver(notice.pk)
        delivery.deliver(notice.pk)

        assert len(mail.outbox) == 1

    @pytest.mark.parametrize("situation", [{"sent": True}, {"failed": True}])
    def test_what_is_over_stays_over(self, situation: dict[str, bool]) -> None:
        delivery.deliver(NoticeFactory.create(**situation).pk)

        assert mail.outbox == []

    def test_what_is_due_later_waits(self) -> None:
        delivery.deliver(NoticeFactory.create(next_at=timezone.now() + timedelta(minutes=1)).pk)

        assert mail.outbox == []

    @pytest.mark.parametrize(
        "error",
        [
            ConnectionRefusedError("no"),
            TimeoutError("slow"),
            smtplib.SMTPServerDisconnected("bye"),
            smtplib.SMTPConnectError(421, b"busy"),
            smtplib.SMTPAuthenticationError(535, b"who?"),
            smtplib.SMTPSenderRefused(550, b"no", "ne-pas-repondre@suite.example"),
            smtplib.SMTPRecipientsRefused({"mairie@commune.example": (450, b"greylisted")}),
            smtplib.SMTPDataError(451, b"later"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_server_that_is_away_or_asks_to_come_back_keeps_it_queued(
        self, refusing: type[Refusing], settings: Settings, error: Exception
    ) -> None:
        refusing.error = error
        notice = NoticeFactory.create()

        delivery.deliver(notice.pk)

        notice.refresh_from_db()
        assert notice.state == Notice.State.QUEUED
        assert notice.error != ""
        assert timedelta(seconds=20) < notice.next_at - timezone.now() < timedelta(seconds=40)

        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        with time_machine.travel(notice.next_at + timedelta(seconds=1), tick=False):
            delivery.deliver(notice.pk)
            delivery.deliver(notice.pk)
        notice.refresh_from_db()
        assert len(mail.outbox) == 1
        assert (notice.state, notice.attempts, notice.error) == (Notice.State.SENT, 2, "")

    @pytest.mark.parametrize(
        ("error", "cause"),
        [
            (
                smtplib.SMTPRecipientsRefused({"mairie@commune.example": (550, b"mairie@commune.example unknown")}),
                "Adresse refusée par le serveur d’envoi (550).",
            ),
            (smtplib.SMTPDataError(554, b"spam"), "Message refusé par le serveur d’envoi (554)."),
            (smtplib.SMTPNotSupportedError("SMTPUTF8"), "Adresse impossible à utiliser."),
        ],
        ids=["address", "message", "encoding"],
    )
    def test_a_permanent_refusal_fails_at_once_and_says_why(
        self, refusing: type[Refusing], error: Exception, cause: str
    ) -> None:
        refusing.error = error
        notice = NoticeFactory.create()

        delivery.deliver(notice.pk)

        notice.refresh_from_db()
        assert (notice.state, notice.error, notice.attempts) == (Notice.State.FAILED, cause, 1)

    @pytest.mark.parametrize("address", ["mairie@commune.example\nBcc: all@commune.example", "pas une adresse", "@"])
    def test_what_is_no_address_fails_at_once(self, address: str) -> None:
        notice = NoticeFactory.create(recipient=address)

        delivery.deliver(notice.pk)

        notice.refresh_from_db()
        assert (notice.state, notice.error) == (Notice.State.FAILED, "Adresse impossible à utiliser.")

    def test_the_wait_grows_to_an_hour_and_the_last_attempt_fails_with_its_cause(
        self, refusing: type[Refusing]
    ) -> None:
        refusing.error = ConnectionRefusedError("no")
        notice = NoticeFactory.create(attempts=delivery.MAX_ATTEMPTS - 2)

        delivery.deliver(notice.pk)
        notice.refresh_from_db()
        assert timedelta(minutes=47) < notice.next_at - timezone.now() < timedelta(minutes=73)

        with time_machine.travel(notice.next_at + timedelta(seconds=1), tick=False):
            delivery.deliver(notice.pk)
        notice.refresh_from_db()
        assert (notice.state, notice.attempts) == (Notice.State.FAILED, delivery.MAX_ATTEMPTS)
        assert "injoignable" in notice.error

    def test_a_message_that_kills_its_worker_each_time_ends_as_failed(self, refusing: type[Refusing]) -> None:
        refusing.error = ZeroDivisionError("a defect of ours")
        notice = NoticeFactory.create(attempts=delivery.MAX_ATTEMPTS - 1)

        with pytest.raises(ZeroDivisionError):
            delivery.deliver(notice.pk)
        with time_machine.travel(timezone.now() + delivery.LEASE, tick=False):
            delivery.deliver(notice.pk)

        notice.refresh_from_db()
        assert (notice.state, notice.error) == (Notice.State.FAILED, "Nombre d’essais épuisé.")

    def test_a_worker_that_comes_back_after_its_lease_does_not_undo_the_next_one_s_work(
        self, settings: Settings
    ) -> None:
        settings.EMAIL_BACKEND = f"{HERE}.Overtaken"
        notice = NoticeFactory.create()

        def meanwhile() -> None:
            settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
            with time_machine.travel(timezone.now() + delivery.LEASE, tick=False):
                delivery.deliver(notice.pk)

        Overtaken.meanwhile.append(meanwhile)
        delivery.deliver(notice.pk)

        notice.refresh_from_db()
        assert (notice.state, notice.attempts, notice.error) == (Notice.State.SENT, 2, "")

    def test_the_logs_hold_neither_address_nor_text(
        self, refusing: type[Refusing], settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for error in (
            smtplib.SMTPRecipientsRefused({"secret@commune.example": (550, b"secret@commune.example: demande")}),
            smtplib.SMTPDataError(451, b"secret@commune.example demande"),
        ):
            refusing.error = error
            delivery.deliver(NoticeFactory.create(recipient="secret@commune.example").pk)
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        delivery.deliver(NoticeFactory.create(recipient="secret@commune.example").pk)

        assert len(caplog.records) >= 3
        assert "secret" not in caplog.text
        assert "demande" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_two_workers_woken_at_once_send_one_message(settings: Settings) -> None:
    settings.EMAIL_BACKEND = f"{HERE}.Slow"
    Slow.sent.clear()
    Slow.release.clear()
    notice = NoticeFactory.create()
    start = Barrier(2)

    def work() -> None:
        start.wait(timeout=10)
        try:
            delivery.deliver(notice.pk)
        finally:
            connection.close()

    workers = [Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    Slow.release.set()
    for worker in workers:
        worker.join()

    assert len(Slow.sent) == 1
    notice.refresh_from_db()
    assert (notice.state, notice.attempts) == (Notice.State.SENT, 1)


@pytest.mark.django_db
def test_a_sweep_wakes_what_is_due_and_nothing_else(settings: Settings) -> None:
    # Celery runs the tasks here instead of sending them to a worker.
    tasks.deliver.app.conf.task_always_eager = True
    try:
        due = NoticeFactory.create_batch(3)
        NoticeFactory.create(next_at=timezone.now() + timedelta(hours=1))
        NoticeFactory.create(sent=True)

        tasks.sweep()
    finally:
        tasks.deliver.app.conf.task_always_eager = False

    assert {message.to[0] for message in mail.outbox} == {notice.recipient for notice in due}
    assert len(mail.outbox) == 3
