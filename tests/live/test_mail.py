"""What leaves, seen by a real SMTP server: envelope, headers, who is reached outside production, pace, TLS."""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone
from pytest_django import Settings

from suite.notices import addresses, delivery
from suite.notices.models import Notice
from tests.factories.journal import EventFactory
from tests.factories.notices import NoticeFactory

pytestmark = pytest.mark.django_db


class Relay:
    """Keeps each envelope and message."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        self.envelopes.append(envelope)
        return "250 kept"

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(one.content, policy=policy.default) for one in self.envelopes]


@pytest.fixture
def relay(settings: Settings) -> Iterator[Relay]:
    handler = Relay()
    controller = Controller(handler, hostname="127.0.0.1", port=0)
    yield from _running(controller, handler, settings)


def _running(controller: Controller, handler: Relay, settings: Settings) -> Iterator[Relay]:
    controller.port = _free_port()
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    yield handler
    controller.stop()


def _free_port() -> int:
    import socket  # noqa: PLC0415 - here only

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def test_the_envelope_carries_the_signed_way_back_and_the_letter_our_name(relay: Relay) -> None:
    notice = NoticeFactory.create(event=EventFactory.create(), answers_until=timezone.localdate())
    delivery.deliver(notice.pk)

    [envelope], [message] = relay.envelopes, relay.messages
    assert envelope.mail_from == addresses.bounce_address(notice)
    known = addresses.read(envelope.mail_from)
    assert known is not None
    assert known.notice == notice.pk
    assert message["From"] == "La Suite territoriale <ne-pas-repondre@suite.example>"
    assert message["Reply-To"] == addresses.answer_address(notice)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert notice.event is not None
    assert message["References"] == f"<{notice.event.subject}@suite.example>"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_a_digest_says_that_it_is_a_list_and_how_to_leave_it(relay: Relay) -> None:
    delivery.deliver(NoticeFactory.create(kind="digest", url="http://127.0.0.1:8000/demandes/notifications/").pk)
    [message] = relay.messages
    assert message["List-Id"] == "<recapitulatif.suite.example>"
    assert message["List-Unsubscribe"] == "<http://127.0.0.1:8000/demandes/notifications/>"
    assert message["Reply-To"] is None


def test_a_site_where_nothing_comes_back_sends_as_itself(relay: Relay, settings: Settings) -> None:
    settings.INBOUND_MAIL_DOMAIN = ""
    delivery.deliver(NoticeFactory.create(answers_until=timezone.localdate()).pk)
    assert relay.envelopes[0].mail_from == "ne-pas-repondre@suite.example"
    assert relay.messages[0]["Reply-To"] is None


@pytest.mark.parametrize(
    ("recipient", "reached"),
    [
        ("Moi@Essai.Example", True),
        ("quiconque@equipe.example", True),
        ("mairie@commune.example", False),
        ("moi@essai.example.commune.example", False),
        ("equipe.example@commune.example", False),
    ],
)
def test_outside_production_only_the_listed_are_reached(
    relay: Relay, settings: Settings, recipient: str, reached: bool  # noqa: FBT001 - a parameter
) -> None:  # fmt: skip
    settings.MAIL_ALLOWED_RECIPIENTS = ["moi@essai.example", "equipe.example"]
    settings.MAIL_SUBJECT_PREFIX = "[essai] "
    notice = NoticeFactory.create(recipient=recipient)
    delivery.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.state == (Notice.State.SENT if reached else Notice.State.WITHHELD)
    assert [message["Subject"] for message in relay.messages] == (["[essai] Votre demande avance"] if reached else [])


def test_no_more_leave_in_a_minute_than_was_said(relay: Relay, settings: Settings) -> None:
    settings.MAIL_PER_MINUTE = 3
    notices = NoticeFactory.create_batch(5)
    now = timezone.now() + dt.timedelta(seconds=1)
    with time_machine.travel(now, tick=False):
        for notice in notices:
            delivery.deliver(notice.pk)
        assert len(relay.envelopes) == 3
    waiting = Notice.objects.filter(state="queued")
    assert {one.attempts for one in waiting} == {0}
    with time_machine.travel(now + dt.timedelta(seconds=62), tick=False):
        for notice in notices:
            delivery.deliver(notice.pk)
    assert len(relay.envelopes) == 5


def test_r21_a_relay_that_is_down_keeps_the_notice_and_it_leaves_once(relay: Relay, settings: Settings) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, _free_port()
    notice = NoticeFactory.create()
    delivery.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.state == Notice.State.QUEUED
    settings.EMAIL_PORT = port
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1), tick=False):
        for _ in range(3):
            delivery.deliver(notice.pk)
    assert len(relay.envelopes) == 1


# --- TLS -------------------------------------------------------------------------------------------------------------


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


@pytest.fixture
def guarded(settings: Settings, tmp_path: Path) -> Iterator[tuple[Relay, Path]]:
    """Run a relay that wants STARTTLS, and give its certificate."""
    certificate, private = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    handler = Relay()
    controller = Controller(handler, hostname="127.0.0.1", port=0, tls_context=context, require_starttls=True)
    settings.EMAIL_USE_TLS = True
    for one in _running(controller, handler, settings):
        yield one, certificate


def test_a_relay_whose_certificate_nobody_vouches_for_gets_nothing(guarded: tuple[Relay, Path]) -> None:
    notice = NoticeFactory.create()
    delivery.deliver(notice.pk)
    notice.refresh_from_db()
    assert notice.state == Notice.State.QUEUED
    assert "SSLCertVerificationError" in notice.error
    assert guarded[0].envelopes == []


def test_a_relay_that_is_vouched_for_gets_the_message_enciphered(
    guarded: tuple[Relay, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, certificate = guarded
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    notice = NoticeFactory.create()
    delivery.deliver(notice.pk)
    notice.refresh_from_db()
    assert (notice.state, notice.error) == (Notice.State.SENT, "")
    assert len(relay.envelopes) == 1
