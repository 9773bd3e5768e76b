"""The page says what the rows say, and the peer's packages say nothing of where they came from."""

import json
import re
from collections.abc import Iterator
from types import ModuleType

from tests.proconnect import (
    document,
    test_doors,
    test_elevation,
    test_exchange,
    test_id_token,
    test_person,
    test_sessions,
)
from tests.proconnect.document import NOTHING
from tests.proconnect.providers import PEER, PEER_7, PEER_9
from tests.proconnect.rows import Row

MODULES = (test_doors, test_elevation, test_exchange, test_id_token, test_person, test_sessions)


def rows(modules: tuple[ModuleType, ...] = MODULES) -> Iterator[Row]:
    for module in modules:
        for test in vars(module).values():
            if hasattr(test, "row"):
                yield test.row


def number(name: str) -> int:
    return int(re.findall(r"\d+", name)[0])


def test_every_row_of_the_acceptance_list_is_a_test() -> None:
    assert {number(row.number) for row in rows()} == set(range(1, 77))


def test_every_test_of_the_matrix_names_its_row() -> None:
    for module in MODULES:
        for name, test in vars(module).items():
            assert not name.startswith("test_") or hasattr(test, "row"), name


def test_the_page_lists_these_rows_and_no_other() -> None:
    assert set(document.recorded()) == {(row.number, row.title, row.expected) for row in rows()}


def test_the_page_says_that_ours_is_as_expected_everywhere() -> None:
    for key, (ours, _) in document.recorded().items():
        assert ours != NOTHING, key
        assert "**" not in ours, key
        # A row that expects a refusal shows one, with the reason that the log bears.
        assert ours.startswith(("refused 4", "refused 502", "refused 503")) or "refuse" not in key[2], key


def test_the_page_has_a_verdict_of_the_library_wherever_it_can_be_judged() -> None:
    shipped = {key: said[1] for key, said in document.recorded().items()}
    for row in rows():
        assert (shipped[row.number, row.title, row.expected] == NOTHING) is not row.library, row


def test_the_peer_is_pinned_and_its_lock_file_names_no_host() -> None:
    wanted = json.loads((PEER / "package.json").read_text())["dependencies"]
    assert wanted == {
        "oidc-provider-7": f"npm:oidc-provider@{PEER_7}",
        "oidc-provider-9": f"npm:oidc-provider@{PEER_9}",
    }
    packages = json.loads((PEER / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all("integrity" in package for name, package in packages.items() if name)
