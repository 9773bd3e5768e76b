"""Promises kept, and what must never be in a mail or in a log (R08, R21, R46)."""

import io
import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as site
from django.db import transaction
from django.test import Client
from django.utils import timezone

from onboarding.intake import thread, thread_answers, workflow
from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.middleware import RequestIdFilter
from suite.notices import addresses, delivery, inbound
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, OperatorFactory
from tests.factories.intake import DossierFactory
from tests.intake.browsing import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def commune() -> Organization:
    made: Organization = CommuneFactory.create(name="Rochefort-en-Terre", department__code="56")
    DeclaredContactFactory.create(organization=made)
    return made


@pytest.fixture
def operator() -> Operator:
    made: Operator = OperatorFactory.create(national_one=True, email="anct@anct.example")
    return made


@pytest.fixture
def agent(commune: Organization) -> User:
    made: User = MembershipFactory.create(organization=commune).user
    User.objects.filter(pk=made.pk).update(given_name="Zénobie", usual_name="Quatrepoint")
    made.refresh_from_db()
    return made


@pytest.fixture
def instructor(operator: Operator) -> User:
    made: User = OperatorRoleFactory.create(operator=operator).user
    User.objects.filter(pk=made.pk).update(given_name="Odilon", usual_name="Vertdegris")
    made.refresh_from_db()
    return made


@pytest.fixture
def sent(commune: Organization, agent: User, operator: Operator) -> Dossier:
    made: Dossier = DossierFactory.create(organization=commune, author=agent, operator=operator, sent=True)
    return made


def told(kind: str, to: str) -> Notice:
    return Notice.objects.get(kind=kind, recipient=to)


def test_r08_the_start_of_the_reading_is_told_to_the_requester(sent: Dossier, instructor: User) -> None:
    workflow.take(sent, by=instructor, version=sent.version)
    assert told("dossier_taken", sent.requester_email).state == Notice.State.QUEUED


def test_r08_every_decision_is_told_to_the_requester(sent: Dossier, instructor: User) -> None:
    other = DossierFactory.create(
        in_review=True, operator=sent.operator, assignee=instructor, requester_email="autre@commune.example"
    )
    missing = workflow.Point("mailbox_list", ("mailboxes",), "Il manque l’accueil.")
    workflow.request_changes(other, [missing], by=instructor, version=other.version)
    assert "Il manque l’accueil." in told("dossier_changes_requested", "autre@commune.example").body_text
    taken = workflow.take(sent, by=instructor, version=sent.version)
    workflow.approve(taken, by=instructor, version=taken.version, check="Vérifié au téléphone avec la mairie.")
    assert told("dossier_approved", sent.requester_email).state == Notice.State.QUEUED


def test_r08_a_refusal_carries_its_reasons_its_words_and_the_way_to_contest_it(sent: Dossier, instructor: User) -> None:
    taken = workflow.take(sent, by=instructor, version=sent.version)
    workflow.reject(taken, ["no_mandate"], by=instructor, version=taken.version, message="Le maire ne connaît pas.")
    body = told("dossier_rejected", sent.requester_email).body_text
    for words in ("Habilitation non établie", "Le maire ne connaît pas.", "contester", site.CONTACT_EMAIL):
        assert words in body


def test_r08_a_refusal_is_discussed_for_two_months(sent: Dossier, instructor: User, agent: User) -> None:
    taken = workflow.take(sent, by=instructor, version=sent.version)
    refused = workflow.reject(taken, ["no_mandate"], by=instructor, version=taken.version, message="Non.")
    with time_machine.travel(timezone.now() + timedelta(days=60), tick=False):
        thread.write(refused, "Je conteste cette décision.", by=agent)
    assert Notice.objects.filter(kind="thread_answer").exists()


def test_r21_a_move_undone_sends_nothing(sent: Dossier, instructor: User) -> None:
    with transaction.atomic():
        workflow.take(sent, by=instructor, version=sent.version)
        assert Notice.objects.exists()
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


def test_r46_a_whole_journey_logs_no_address_no_name_and_no_ip(
    sent: Dossier, instructor: User, agent: User, client: Client
) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logging.Formatter("{asctime} {levelname} {name} [{request_id}] {message}", style="{"))
    handler.addFilter(RequestIdFilter())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        desk, hall = sign_in(instructor), sign_in(agent)
        address = {"REMOTE_ADDR": "203.0.113.77"}
        at, here = f"/instruction/{sent.pk}/", f"/demandes/{sent.pk}/"
        assert desk.post(f"{at}prendre/", {"version": sent.version}, **address).status_code == 302  # type: ignore[arg-type]
        desk.post(f"{at}echanges/message/", {"body": "Bonjour Zénobie Quatrepoint."}, **address)  # type: ignore[arg-type]
        hall.post(f"{here}messages/", {"body": "Bonjour Odilon Vertdegris."}, **address)  # type: ignore[arg-type]
        hall.get(f"{here}?q=zenobie@commune.example", **address)  # type: ignore[arg-type]
        hall.get("/nulle-part/?q=zenobie@commune.example", **address)  # type: ignore[arg-type]
        hall.get(at, **address)  # type: ignore[arg-type]
        client.post(f"{here}messages/", {"body": "x"}, **address)  # type: ignore[arg-type]
        for notice in Notice.objects.all():
            delivery.deliver(notice.pk)
        asked = Notice.objects.filter(kind="thread_message", recipient=sent.requester_email).get()
        raw = f"From: {sent.requester_email}\r\nMessage-ID: <1@x.example>\r\n\r\nOui, Odilon.\r\n".encode()
        inbound.take(addresses.answer_address(asked), sender=sent.requester_email, raw=raw)
        inbound.take(addresses.answer_address(asked), sender="x@evil.example", raw=b"\xff\xfe: \r\n\r\n")
        inbound.sort()
        thread_answers.file_answers()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    logged = lines.getvalue()
    assert "sent" in logged  # it was listening
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w+", logged), logged
    for word in ("203.0.113.77", "Quatrepoint", "Zénobie", "Vertdegris", "Odilon", "zenobie"):
        assert word not in logged


@pytest.mark.parametrize("given", ["x\r\nX-Evil: 1", "a" * 5000, "<script>", "0123456789ab", ""])
def test_r46_a_caller_s_request_id_is_replaced_by_ours(client: Client, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{12}", response["X-Request-Id"])
    assert response["X-Request-Id"] != given
