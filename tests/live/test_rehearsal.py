"""`manage.py rehearse`, small: real workers and Redis, PowerDNS where it is installed, one call in ten wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from suite.rehearsal import servers
from suite.rehearsal.outside import Differences
from tests.factories.provisioning import deployment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rehearsal")]
ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    *("communes", "missing", "duplicated", "foreign", "faults_injected", "retries", "seconds", "communes_per_s"),
    *("steps_per_s", "empty_tasks_per_s", "ratio", "time_to_service_s"),
}


def test_twenty_five_communes_with_one_call_in_ten_wrong() -> None:
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true, and redis-server is not installed")
        pytest.skip("no Redis here: install redis-server, or run as root on Debian or Ubuntu")
    environment = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "manage.py", "rehearse", "--communes", "25", "--workers", "2", "--faults", "0.1", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result) >= PROMISED
    assert (result["communes"], result["missing"], result["duplicated"], result["foreign"]) == (25, 0, 0, 0)
    assert result["faults_injected"] > 10
    assert result["retries"] > 0
    assert result["dns"].startswith("powerdns" if shutil.which("pdns_server", path=servers.PATH) else "local")


@pytest.mark.django_db(transaction=True)
def test_it_refuses_where_there_are_real_deployments() -> None:
    here = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    servers.refuse_a_live_one(here)
    deployment()
    with pytest.raises(servers.CannotRehearse, match="1 real deployments"):
        servers.refuse_a_live_one(here)


def test_what_is_missing_twice_there_or_foreign_is_told_apart() -> None:
    seen = Differences()
    seen.compare("zone", ["a", "b"], ["b", "b", "c"])
    assert (seen.missing, seen.duplicated, seen.foreign) == (["zone a"], ["zone b"], ["zone c"])
