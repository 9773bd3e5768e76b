"""Where addresses are, by a base made here: none, an old one or a broken one, and nobody knows."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from onboarding.audits.location import locate
from tests.audits import mmdb

BUILT = datetime(2026, 11, 1, 12, tzinfo=UTC)
COUNTRIES = {
    "185.10.0.0/16": "FR",
    "8.8.8.0/24": "US",
    "102.35.0.0/16": "RE",
    "2a01:e00::/28": "FR",
    "9.9.9.9/32": {"continent": {"code": "NA"}},
    "9.9.9.8/32": {"country": {"iso_code": ["FR"]}},
    "9.9.9.7/32": {"country": "FR"},
}


@pytest.fixture
def base(tmp_path: Path, settings: Settings) -> Path:
    path = mmdb.write(tmp_path / "base.mmdb", COUNTRIES, int(BUILT.timestamp()))
    settings.GEOIP_DATABASE = str(path)
    return path


def test_each_address_is_in_its_country(base: Path) -> None:
    found, day = locate(["185.10.3.4", "8.8.8.8", "102.35.1.1", "2a01:e00::25"], now=BUILT + timedelta(days=1))
    assert found == {"185.10.3.4": "FR", "8.8.8.8": "US", "102.35.1.1": "RE", "2a01:e00::25": "FR"}
    assert day == "2026-11-01"


@pytest.mark.parametrize("address", ["1.2.3.4", "2001:db8::1", "pas une adresse", "", "9.9.9.9", "9.9.9.8", "9.9.9.7"])
def test_an_address_that_the_base_cannot_place_is_nowhere(base: Path, address: str) -> None:
    assert locate([address], now=BUILT) == ({address: ""}, "2026-11-01")


@pytest.mark.parametrize(("age", "day"), [(timedelta(days=45), "2026-11-01"), (timedelta(days=45, seconds=1), "")])
def test_a_base_older_than_45_days_places_nothing(base: Path, age: timedelta, day: str) -> None:
    found, dated = locate(["185.10.3.4"], now=BUILT + age)
    assert dated == day
    assert found == {"185.10.3.4": "FR" if day else ""}


def test_today_is_the_date_that_counts(base: Path, tmp_path: Path, settings: Settings) -> None:
    fresh = mmdb.write(tmp_path / "fresh.mmdb", {"185.10.0.0/16": "FR"}, int(time.time()))
    settings.GEOIP_DATABASE = str(fresh)
    assert locate(["185.10.3.4"])[0] == {"185.10.3.4": "FR"}


def test_a_new_file_in_the_same_place_is_read_without_a_restart(base: Path) -> None:
    assert locate(["185.10.3.4"], now=BUILT)[0] == {"185.10.3.4": "FR"}
    newer = mmdb.write(base.with_suffix(".new"), {"185.10.0.0/16": "BE", "8.0.0.0/8": "US"}, int(BUILT.timestamp()))
    newer.replace(base)
    assert locate(["185.10.3.4"], now=BUILT)[0] == {"185.10.3.4": "BE"}


def test_without_a_base_nobody_knows(settings: Settings) -> None:
    settings.GEOIP_DATABASE = ""
    assert locate(["8.8.8.8"]) == ({"8.8.8.8": ""}, "")


@pytest.mark.parametrize("content", [b"", b"not a base", b"\xab\xcd\xefMaxMind.com\xe0"])
def test_a_broken_base_is_none(tmp_path: Path, settings: Settings, content: bytes) -> None:
    path = tmp_path / "broken.mmdb"
    path.write_bytes(content)
    settings.GEOIP_DATABASE = str(path)
    assert locate(["8.8.8.8"]) == ({"8.8.8.8": ""}, "")


def test_a_base_that_is_not_there_is_none(tmp_path: Path, settings: Settings) -> None:
    settings.GEOIP_DATABASE = str(tmp_path / "nowhere.mmdb")
    assert locate(["8.8.8.8"]) == ({"8.8.8.8": ""}, "")
