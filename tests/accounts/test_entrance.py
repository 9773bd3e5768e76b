import time
from typing import Any

import pytest
import time_machine
from django.test import Client, RequestFactory

from suite.accounts import addresses, entrance

pytestmark = pytest.mark.django_db

START = "/connexion/proconnect/"
OFFICE, HOME = "192.0.2.1", "203.0.113.9"


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits, so that a test reaches them: these numbers are data, not code."""
    monkeypatch.setitem(entrance.BROWSER, "limit", 5)
    monkeypatch.setitem(entrance.NETWORK, "limit", 3)


def leave(client: Client, address: str = OFFICE) -> Any:
    return client.get(START, REMOTE_ADDR=address)


@pytest.mark.usefixtures("crowded")
class TestSlowDown:
    def test_a_browser_may_start_many_sign_ins_but_not_endlessly(self, client: Client) -> None:
        answers = [leave(client).status_code for _ in range(8)]  # the first one makes its session
        assert answers == [302] * 6 + [429] * 2

    def test_a_busy_browser_is_told_and_its_neighbours_are_not_concerned(self, client: Client) -> None:
        answers = [leave(client) for _ in range(8)]
        assert "ne sont pas concernés" in answers[-1].text
        assert answers[-1]["Retry-After"] == "600"
        assert leave(Client()).status_code == 302

    def test_a_crowded_network_waits_some_seconds_and_passes(self) -> None:
        """A stranger on the same network uses its places up: the honest person is slowed down, never refused."""
        with time_machine.travel(time.time(), tick=False) as clock:
            for _ in range(3):
                assert leave(Client()).status_code == 302
            honest = Client()
            answer = leave(honest)
            assert (answer.status_code, answer["Retry-After"]) == (429, "5")
            assert "Rien n’est bloqué" in answer.text
            assert f'href="{START}"' in answer.text
            assert leave(honest).status_code == 429  # at once
            clock.shift(5)
            assert leave(honest).status_code == 302

    def test_another_network_does_not_wait(self) -> None:
        for _ in range(5):
            leave(Client())
        assert leave(Client(), HOME).status_code == 302

    def test_a_patience_serves_five_times(self) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            for _ in range(3):
                leave(Client())
            first = Client()
            leave(first)
            patience = first.cookies[entrance.COOKIE].value
            clock.shift(5)
            answers = []
            for _ in range(7):
                browser = Client()
                browser.cookies[entrance.COOKIE] = patience
                answers.append(leave(browser).status_code)
            assert answers == [302] * 5 + [429] * 2

    def test_a_forged_patience_does_not_serve(self) -> None:
        for _ in range(3):
            leave(Client())
        browser = Client()
        browser.cookies[entrance.COOKIE] = "forged"
        assert leave(browser).status_code == 429

    def test_a_session_that_does_not_exist_is_no_session(self) -> None:
        for _ in range(3):
            leave(Client())
        browser = Client()
        browser.cookies["suite_session"] = "x" * 32
        assert leave(browser).status_code == 429

    def test_the_exchanges_of_one_browser_are_counted(self, client: Client) -> None:
        leave(client)
        request = RequestFactory().get("/connexion/retour/")
        request.session = client.session
        assert [entrance.may_exchange(request) for _ in range(6)] == [True] * 5 + [False]


class TestVisitor:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "connected", "expected"),
        [
            (0, "1.2.3.4", "192.0.2.1", "192.0.2.1"),  # nobody of ours wrote the header
            (1, "6.6.6.6, 1.2.3.4", "10.0.0.1", "1.2.3.4"),
            (2, "6.6.6.6, 1.2.3.4, 10.0.0.2", "10.0.0.1", "1.2.3.4"),
            (2, "1.2.3.4", "10.0.0.1", "10.0.0.1"),  # too short: somebody went round a proxy
            (1, "", "10.0.0.1", "10.0.0.1"),
            (1, "not an address", "10.0.0.1", "10.0.0.1"),
            (0, "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            (0, "", "::ffff:192.0.2.1", "192.0.2.1"),
            (0, "", "", ""),
        ],
    )
    def test_the_address_is_what_our_own_proxies_saw(
        self, settings: Any, proxies: int, forwarded: str, connected: str, expected: str
    ) -> None:
        settings.TRUSTED_PROXIES = proxies
        request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR=connected)
        assert addresses.visitor(request) == expected
