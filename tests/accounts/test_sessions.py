"""One's sessions: listed, closed, ended, announced."""

import time
from datetime import timedelta

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from suite.accounts import sessions, tasks
from suite.accounts.limits import allow
from suite.accounts.models import Tally, User, UserSession
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
EDGE = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0 Safari/537.36 Edg/126.0"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} Version/17.5 Safari/604.1"


def opened(user: User, agent: str = FIREFOX) -> tuple[Client, UserSession]:
    """Open a session as the return from ProConnect does."""
    client = Client()
    client.force_login(user)
    request = RequestFactory().get("/", headers={"User-Agent": agent})
    request.session = client.session
    row = sessions.start(request, user)
    request.session.save()
    return client, row


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox sur Linux"),
        (EDGE, "Edge sur Windows"),
        (IPHONE, "Safari sur iPhone ou iPad"),
        ("", "Navigateur inconnu"),
    ],
)
def test_a_device_is_told_in_a_few_words(agent: str, words: str) -> None:
    assert sessions.device(agent) == words


class TestSessions:
    def test_it_lists_one_s_devices_and_nobody_else_s(self) -> None:
        user = UserFactory.create()
        client, _ = opened(user)
        opened(user, EDGE)
        opened(UserFactory.create(), IPHONE)
        text = client.get("/mes-sessions/").content.decode()

        assert "Firefox sur Linux" in text
        assert "Edge sur Windows" in text
        assert "iPhone" not in text
        assert text.count("Cette session</span>") == 1

    def test_being_seen_is_noted_every_five_minutes_at_most(self) -> None:
        client, row = opened(UserFactory.create())
        client.get("/demandes/")
        row.refresh_from_db()
        before = row.seen_at
        UserSession.objects.update(seen_at=timezone.now() - timedelta(minutes=6))
        client.get("/demandes/")
        row.refresh_from_db()
        assert row.seen_at > before


class TestCloseSession:
    def test_it_is_over_at_its_next_request(self) -> None:
        user = UserFactory.create()
        client, _ = opened(user)
        other, row = opened(user, EDGE)
        client.post(f"/mes-sessions/{row.pk}/fermer/")

        assert other.get("/demandes/")["Location"] == "/connexion/?next=/demandes/&expiree=1"
        assert client.get("/demandes/").status_code == 200

    def test_another_person_s_does_not_exist(self) -> None:
        client, _ = opened(UserFactory.create())
        theirs, row = opened(UserFactory.create())
        assert client.post(f"/mes-sessions/{row.pk}/fermer/").status_code == 404
        assert theirs.get("/demandes/").status_code == 200


class TestCloseOthers:
    def test_only_this_one_stays(self) -> None:
        user = UserFactory.create()
        client, _ = opened(user)
        others = [opened(user)[0] for _ in range(3)]
        client.post("/mes-sessions/fermer-les-autres/")

        assert {other.get("/demandes/").status_code for other in others} == {302}
        assert client.get("/demandes/").status_code == 200


def test_signing_out_closes_the_row() -> None:
    client, row = opened(UserFactory.create())
    client.post("/deconnexion/")
    row.refresh_from_db()
    assert row.ended_at


def test_the_rotation_of_the_key_keeps_the_row() -> None:
    user = UserFactory.create()
    client, row = opened(user)
    session = client.session
    session.cycle_key()
    client.cookies["suite_session"] = session.session_key or ""
    assert client.get("/mes-sessions/").status_code == 200
    sessions.close(user, [row.pk])
    assert client.get("/mes-sessions/").status_code == 302


def test_ending_all_reaches_a_session_without_a_row() -> None:
    user = UserFactory.create()
    client = Client()
    client.force_login(user)
    assert client.get("/demandes/").status_code == 200
    sessions.end_all(user, by=None, reason="test")
    assert client.get("/demandes/").status_code == 302


def test_a_closed_account_is_out_at_once() -> None:
    user = UserFactory.create()
    client, _ = opened(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/demandes/").status_code == 302


@pytest.mark.parametrize(("minutes", "warned"), [(11, False), (9, True)])
def test_the_end_is_announced_ten_minutes_before(minutes: int, warned: bool) -> None:  # noqa: FBT001 - data
    client, _ = opened(UserFactory.create())
    session = client.session
    session["signed_in_at"] = time.time() - 12 * 3600 + minutes * 60
    session.save()
    text = client.get("/demandes/?a=b").content.decode()
    assert ("Votre session se termine" in text) is warned
    assert ("?next=%2Fdemandes%2F%3Fa%3Db" in text) is warned


def test_what_is_over_is_forgotten() -> None:
    _, old = opened(UserFactory.create())
    UserSession.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(days=31))
    _, new = opened(UserFactory.create())
    allow("essai", "ana", limit=1, seconds=-1)
    allow("essai", "bob", limit=1, seconds=60)

    tasks.forget()

    assert list(UserSession.objects.all()) == [new]
    assert Tally.objects.count() == 1
