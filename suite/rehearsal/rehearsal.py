"""One rehearsal: prepare, measure the ceiling, feed the approvals, wait for the end, look from outside."""

import itertools
import os
import time
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from onboarding.provisioning import workflow
from onboarding.provisioning.backends.local_mail import HOST_RECORDS, HOST_ZONE
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.models import Deployment, Step
from suite.accounts.models import User
from suite.directory.models import Operator
from suite.prepare import prepare
from suite.rehearsal import faults, outside, tasks
from suite.rehearsal.asked import asked, backend
from suite.rehearsal.drive import load, say
from suite.rehearsal.plans import eligible, plans

QUEUE = "celery"
AHEAD = 4  # messages waiting for each worker: enough that none is idle, few enough that none waits long
STALLED = 180  # seconds without a step ending: something is stuck, and the result says so


class Rehearsal:
    """What was asked of `manage.py rehearse`, and how it goes."""

    def __init__(self) -> None:
        self.asked = asked()
        self.broker: Any = redis.Redis.from_url(settings.CELERY_BROKER_URL)
        self.ahead = AHEAD * int(self.asked["workers"])

    def run(self) -> tuple[dict[str, Any], list[str]]:
        """Rehearse; return the figures, and every difference in words."""
        refuse_what_is_real()
        prepare()
        self._publish_the_mail_host()
        operator = Operator.objects.get_or_create(
            name="Répétition", defaults={"name_with_article": "la répétition", "status": "partenaire_avec_services"}
        )[0]
        person = User.objects.create(email="repetition@suite.example")
        wanted = list(plans(eligible(int(self.asked["communes"])), operator, int(self.asked["seed"])))
        say(f"{len(wanted)} communes, {self.asked['workers']} workers, load {load()}")
        before = load()
        started = time.monotonic()
        self._feed(wanted, person)
        self._settle()
        seconds = time.monotonic() - started
        steps = Step.objects.count()
        ceiling = self._ceiling(steps)
        say("Looking from outside…")
        seen = outside.compare(wanted, local=frozenset(self.asked["local"]))
        figures = {
            "communes": len(wanted),
            "missing": len(seen.missing),
            "duplicated": len(seen.duplicated),
            "foreign": len(seen.foreign),
            "faults_injected": sum(faults.injected().values()),
            "retries": sum(faults.again().values()),
            "seconds": round(seconds, 2),
            "communes_per_s": round(len(wanted) / seconds, 2),
            "steps": steps,
            "steps_per_s": round(steps / seconds, 1),
            "empty_tasks_per_s": round(ceiling, 1),
            "ratio": round(steps / seconds / ceiling, 3),
            "time_to_service_s": _time_to_service(),
            "unfinished": _unfinished(),
            "faults": faults.injected(),
            "retried": faults.again(),
            **{key: self.asked[key] for key in ("workers", "rate", "seed", "dns", "mail", "storage", "dkim_keys")},
            "cores": os.cpu_count(),
            "load": {"before": before, "after": load()},
        }
        named = [f"missing: {each}" for each in seen.missing]
        named += [f"twice: {each}" for each in seen.duplicated] + [f"foreign: {each}" for each in seen.foreign]
        return figures, named

    def _publish_the_mail_host(self) -> None:
        """Have the provider's own names answer, as they do in the world: what our records name must be found."""
        dns = import_string(backend("dns"))()
        for zone in self.asked["zones"]:
            dns.ensure_zone(zone, owner="suite")
        dns.ensure_zone(settings.COLLECTIVITE_ZONE, owner="suite")
        if HOST_ZONE in self.asked["zones"]:
            there = [Record(name, kind, values) for (name, kind), values in HOST_RECORDS.items()]
            dns.ensure_records(HOST_ZONE, there, owner="suite")

    def _feed(self, wanted: list[workflow.Plan], person: User) -> None:
        """Approve one commune after the other, no faster than the workers take them."""
        said = time.monotonic()
        for number, plan in enumerate(wanted):
            while self.broker.llen(QUEUE) >= self.ahead:
                time.sleep(0.005)
            workflow.start(plan, by=person)
            if time.monotonic() - said > 10:  # noqa: PLR2004 - seconds
                said = time.monotonic()
                say(f"{number + 1} approved, {_waiting()} being built, load {load()[0]}")

    def _settle(self) -> None:
        """Wait until nothing waits any more."""
        left, since, said = -1, time.monotonic(), time.monotonic()
        while (now := _waiting_steps()) and time.monotonic() - since < STALLED:
            if now != left:
                left, since = now, time.monotonic()
            if time.monotonic() - said > 10:  # noqa: PLR2004 - seconds
                said = time.monotonic()
                say(f"All approved, {_waiting()} being built, load {load()[0]}")
            time.sleep(0.05)

    def _ceiling(self, count: int) -> float:
        """Return how many tasks a second the same workers end when each is empty, fed in the same way."""
        say(f"The ceiling: {count} empty tasks…")
        started = time.monotonic()
        for number in itertools.count():
            if number >= count:
                break
            if number % 20 == 0:
                while self.broker.llen(QUEUE) >= max(self.ahead, 100):
                    time.sleep(0.005)
            tasks.nothing.apply_async((number,))
        while self.broker.llen(QUEUE) or self.broker.hlen("unacked"):
            time.sleep(0.01)
        return count / (time.monotonic() - started)


def refuse_what_is_real() -> None:
    """Raise SystemExit rather than touch anything but a scratch database."""
    name = str(connection.settings_dict["NAME"])
    if not name.startswith("rehearsal"):
        raise SystemExit(f"The database {name!r} is not a rehearsal's own: nothing was done.")
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    if "provisioning_deployment" in tables and Deployment.objects.exists():
        raise SystemExit("There are deployments in this database: nothing was done.")


def _waiting_steps() -> int:
    return Step.objects.filter(status=Step.Status.WAITING).count()


def _waiting() -> int:
    return Step.objects.filter(status=Step.Status.WAITING).values("deployment").distinct().count()


def _unfinished() -> int:
    return Step.objects.exclude(status=Step.Status.DONE).values("deployment").distinct().count()


def _time_to_service() -> dict[str, float | None]:
    """From the approval to the last step, in seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM took)) FROM"
            " (SELECT max(step.finished_at) - deployment.created_at AS took FROM provisioning_deployment AS deployment"
            " JOIN provisioning_step AS step ON step.deployment_id = deployment.id GROUP BY deployment.id) AS each"
        )
        found = cursor.fetchone()[0] or (None, None)
    return {"p50": found[0] and round(found[0], 2), "p95": found[1] and round(found[1], 2)}
