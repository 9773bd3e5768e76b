"""The engine of the audits against real sockets: bad servers, lost packets, two servers, budgets and manners."""

import time
from collections.abc import Iterator

import pytest

from onboarding.audits.engine import Engine, Gatherer, Manners, Question
from onboarding.audits.facts import Lookup
from tests.live.hostile_dns import HostileDns

QUICK = Manners(timeout=0.2, attempts=2, lifetime=2.0)


@pytest.fixture
def server() -> Iterator[HostileDns]:
    with HostileDns() as served:
        yield served


def one(name: str, kind: str = "TXT") -> Gatherer[Lookup]:
    (lookup,) = yield [Question(name, kind)]
    return lookup


def ask(server: HostileDns, *names: str, manners: Manners = QUICK) -> dict[str, Lookup]:
    found: list[Lookup] = []
    Engine([server.address], manners=manners).run(map(one, names), found.append)
    return {lookup.name: lookup for lookup in found}


ANSWERS = [
    ("honest.example", "answer", ("honest",), ""),
    ("absent.example", "none", (), "nxdomain"),
    ("flaky.example", "answer", ("honest",), ""),
    ("silent.example", "unknown", (), "timeout"),
    ("slow.example", "unknown", (), "timeout"),
    ("lame.example", "unknown", (), "refused"),
    ("ill.example", "unknown", (), "servfail"),
    ("forged.example", "answer", ("honest",), ""),
    ("lowercase.example", "answer", ("lowered",), ""),
    ("always.example", "unknown", (), "malformed"),
    ("alias.example", "answer", ("honest",), ""),
    ("loop.example", "unknown", (), "loop"),
    ("turning.example", "unknown", (), "loop"),
    ("noedns.example", "answer", ("honest",), ""),
    ("garbage.example", "unknown", (), "malformed"),
    ("pointers.example", "unknown", (), "malformed"),
    ("elsewhere.example", "unknown", (), "malformed"),
    ("referral.example", "unknown", (), "malformed"),
    ("cut.example", "unknown", (), "network"),
]


@pytest.mark.parametrize(("name", "outcome", "values", "detail"), ANSWERS)
def test_a_bad_server_never_makes_an_absence(
    server: HostileDns, name: str, outcome: str, values: tuple[str, ...], detail: str
) -> None:
    lookup = ask(server, name)[name]
    assert (lookup.outcome, lookup.values, lookup.detail) == (outcome, values, detail)


def test_all_of_them_side_by_side_answer_the_same(server: HostileDns) -> None:
    found = ask(server, *(name for name, *_ in ANSWERS))
    assert {(n, x.outcome, x.values, x.detail) for n, x in found.items()} == {(n, o, v, d) for n, o, v, d in ANSWERS}


def test_what_does_not_fit_is_asked_again_by_tcp(server: HostileDns) -> None:
    lookup = ask(server, "truncated.example")["truncated.example"]
    assert len(lookup.values) == 8
    assert server.by_tcp["truncated.example"] == 1


def test_a_text_of_64_kilobytes_is_read_whole(server: HostileDns) -> None:
    assert len(ask(server, "huge.example")["huge.example"].values[0]) == 250 * 255


def test_names_the_dns_cannot_carry_are_not_asked(server: HostileDns) -> None:
    names = ["", "a" * 64 + ".example", ".".join(["abcdefgh"] * 32), "é.example", "double..example", "."]
    found: list[Lookup] = []
    Engine([server.address], manners=QUICK).run(map(one, names), found.append)
    assert {(x.outcome, x.detail) for x in found} == {("unknown", "malformed")}
    assert not server.asked


def test_a_question_is_asked_once_however_many_want_it(server: HostileDns) -> None:
    found: list[Lookup] = []
    names = ["Honest.example", "honest.EXAMPLE.", "honest.example"] * 50
    tally = Engine([server.address], manners=QUICK).run(map(one, names), found.append)
    assert {lookup.values for lookup in found} == {("honest",)}
    assert (len(found), tally.wanted, tally.sent) == (150, 150, 1)
    assert server.asked["honest.example"] == 1


def test_an_answer_kept_is_not_asked_again(server: HostileDns) -> None:
    def twice() -> Gatherer[Lookup]:
        yield [Question("honest.example", "TXT")]
        return (yield [Question("honest.example", "TXT")])[0]

    found: list[Lookup] = []
    tally = Engine([server.address], manners=QUICK).run([twice()], found.append)
    assert found[0].values == ("honest",)
    assert tally.sent == 1


def test_an_unknown_is_not_kept(server: HostileDns) -> None:
    def twice() -> Gatherer[list[str]]:
        first = yield [Question("silent.example", "TXT")]
        second = yield [Question("silent.example", "TXT")]
        return [first[0].outcome, second[0].outcome]

    found: list[list[str]] = []
    tally = Engine([server.address], manners=QUICK).run([twice()], found.append)
    assert (found, tally.sent) == ([["unknown", "unknown"]], 4)


def test_another_server_is_asked_when_one_is_mute(server: HostileDns) -> None:
    with HostileDns(mute=True) as mute:
        found: list[Lookup] = []
        names = [f"honest.n{at}.example" for at in range(40)]
        Engine([mute.address, server.address], manners=QUICK).run(map(one, names), found.append)
    assert {lookup.values for lookup in found} == {("honest",)}


def test_a_server_that_is_not_there_is_known_at_once() -> None:
    with HostileDns() as gone:
        address = gone.address
    found: list[Lookup] = []
    started = time.monotonic()
    Engine([address], manners=Manners(timeout=5.0, attempts=2)).run([one("honest.example")], found.append)
    assert (found[0].outcome, found[0].detail) == ("unknown", "network")
    assert time.monotonic() - started < 4


def test_no_question_at_all_is_a_gatherer_too(server: HostileDns) -> None:
    def idle() -> Gatherer[str]:
        assert (yield []) == []
        return "done"

    found: list[str] = []
    Engine([server.address], manners=QUICK).run([idle(), idle()], found.append)
    assert found == ["done", "done"]


def test_the_budget_holds_questions_back(server: HostileDns) -> None:
    class Late:
        reserved = 0

        def reserve(self, count: int) -> float:
            self.reserved += count
            return 0.0 if self.reserved == count else 0.4

    budget = Late()
    found: list[Lookup] = []
    started = time.monotonic()
    names = [f"honest.n{at}.example" for at in range(60)]
    Engine([server.address], manners=QUICK, budget=budget).run(map(one, names), found.append)
    assert (len(found), budget.reserved) == (60, 100)
    assert time.monotonic() - started >= 0.4


def test_the_servers_of_one_authority_are_spared(server: HostileDns) -> None:
    def spared(name: str) -> Gatherer[Lookup]:
        (lookup,) = yield [Question(name, "TXT", authority="petit-hebergeur.example")]
        return lookup

    found: list[Lookup] = []
    started = time.monotonic()
    names = [f"honest.n{at}.example" for at in range(30)]
    manners = Manners(timeout=0.5, authority_rate=20.0)
    Engine([server.address], manners=manners).run(map(spared, names), found.append)
    assert {lookup.values for lookup in found} == {("honest",)}
    # Twenty at once, then twenty a second.
    assert 0.4 <= time.monotonic() - started < 5


def test_a_thousand_side_by_side_lose_nothing(server: HostileDns) -> None:
    names = [f"honest.n{at}.example" for at in range(1000)]
    found = ask(server, *names, manners=Manners(timeout=1.0, attempts=4))
    assert {lookup.values for lookup in found.values()} == {("honest",)}
    assert len(found) == 1000
