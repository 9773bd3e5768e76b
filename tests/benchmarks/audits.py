"""`make bench-audits`: our audit engine beside checkdmarc, a pool of threads on dnspython, and dnsperf as the ceiling.

One authoritative server on loopback, the same zones and the same records for everybody, one process each, rounds
interleaved. checkdmarc is taken at its own functions limited to the records that we read (`performance.md`): its full
report does more. The last line is one JSON object.
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

ROUNDS = 3


def main() -> None:
    """Run one contestant (in a child) or all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", choices=sorted(CONTESTANTS))
    parser.add_argument("--server")
    parser.add_argument("--names", type=Path)
    arguments = parser.parse_args()
    if arguments.run:
        host, _, port = arguments.server.rpartition(":")
        names = arguments.names.read_text().split()
        sys.stdout.write(json.dumps(measure(CONTESTANTS[arguments.run], host, int(port), names)) + "\n")
        return
    sys.stdout.write(json.dumps(compare(int(os.environ.get("ZONES", "20000")))) + "\n")


def measure(contestant: Callable[..., dict[str, Any]], host: str, port: int, names: list[str]) -> dict[str, Any]:
    """Time one contestant: its figures, and the verdicts {domain: {mx, spf, dmarc}} it came to."""
    contestant(host, port, ["echauffement.fr"])  # imports are not what is compared
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = contestant(host, port, names)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"domains": len(names), "seconds": seconds, "cpu": cpu, "peak_mb": after.ru_maxrss / 1024, **result}


# --- The contestants --------------------------------------------------------------------------------------------------


def ours(host: str, port: int, names: list[str]) -> dict[str, Any]:
    """Gather with the engine, judge with the rules."""
    from onboarding.audits.engine import Engine
    from onboarding.audits.gathering import mail
    from onboarding.audits.rules.mail import judge

    verdicts: dict[str, Any] = {}

    def done(facts: Any) -> None:
        verdicts[facts.domain] = _ours(judge(facts))

    tally = Engine([(host, port)]).run((mail(name) for name in names), done)
    return {"verdicts": verdicts, "queries": tally.sent, "unknown": tally.unknown, "retried": tally.retried}


def _ours(findings: list[Any]) -> dict[str, str]:
    """Say what checkdmarc would be asked too: mail may arrive, one SPF record holds, one DMARC record is there."""
    found = {finding.id: finding for finding in findings}
    holds = found["B1"].reason in {"ok", "spf_open", "spf_neutral", "spf_ptr"}
    return {"mx": found["2.4"].state, "spf": "pass" if holds else "fail", "dmarc": found["2.6"].state}


def _counted() -> Callable[[], int]:
    """Count the datagrams that dnspython sends."""
    import dns.query

    lock, count, real = threading.Lock(), [0], dns.query.udp

    def udp(*arguments: Any, **options: Any) -> Any:
        with lock:
            count[0] += 1
        return real(*arguments, **options)

    dns.query.udp = udp
    return lambda: count[0]


def checkdmarc_scope(host: str, port: int, names: list[str]) -> dict[str, Any]:
    """checkdmarc's functions for the records that we read, one domain after the other."""
    import checkdmarc.dmarc
    import checkdmarc.mta_sts
    import checkdmarc.smtp_tls_reporting
    import checkdmarc.spf
    import checkdmarc.utils
    import dns.nameserver

    queries, verdicts = _counted(), {}
    servers = {"nameservers": [dns.nameserver.Do53Nameserver(host, port)]}
    for name in names:
        hosts: list[Any] = []
        with suppress(checkdmarc.utils.DNSException):
            hosts = checkdmarc.utils.get_mx_records(name, **servers)
        for each in hosts:
            with suppress(checkdmarc.utils.DNSException):
                checkdmarc.utils.get_a_records(each["hostname"], **servers)
        spf = checkdmarc.spf.check_spf(name, **servers)
        dmarc = checkdmarc.dmarc.check_dmarc(name, **servers)
        with suppress(checkdmarc.mta_sts.MTASTSError):
            checkdmarc.mta_sts.query_mta_sts_record(name, **servers)
        with suppress(checkdmarc.smtp_tls_reporting.SMTPTLSReportingError):
            checkdmarc.smtp_tls_reporting.query_smtp_tls_reporting_record(name, **servers)
        with suppress(Exception):
            checkdmarc.utils.query_dns(name, "DS", **servers)
        verdicts[name] = {
            "mx": "pass" if any(each["hostname"] not in {"", "."} for each in hosts) else "fail",
            "spf": "pass" if spf["valid"] else "fail",
            "dmarc": "pass" if dmarc.get("valid") else "fail",
        }
    return {"verdicts": verdicts, "queries": queries()}


def threads(host: str, port: int, names: list[str]) -> dict[str, Any]:
    """A pool of 32 threads on dnspython's resolver, with what a careful author adds: a memo of shared names."""
    import dns.exception
    import dns.nameserver
    import dns.resolver

    from onboarding.audits.facts import Lookup
    from onboarding.audits.gathering import mail
    from onboarding.audits.rules.mail import judge

    queries = _counted()
    memo: dict[tuple[str, str], Lookup] = {}
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port)]
    resolver.timeout, resolver.lifetime = 2.0, 8.0

    def lookup(name: str, kind: str) -> Lookup:
        known = memo.get((name, kind))
        if known is None:
            try:
                answer = resolver.resolve(name + ".", kind, search=False)
                values = tuple(
                    sorted(
                        b"".join(rdata.strings).decode("utf-8", "backslashreplace") if kind == "TXT" else str(rdata)
                        for rdata in answer
                    )
                )
                known = Lookup(name, kind, "answer", values)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                known = Lookup(name, kind, "none")
            except dns.exception.DNSException:
                known = Lookup(name, kind, "unknown")
            memo[name, kind] = known
        return known

    def one(name: str) -> tuple[str, dict[str, str]]:
        gatherer, answers = mail(name), None
        while True:
            try:
                questions = next(gatherer) if answers is None else gatherer.send(answers)
            except StopIteration as stop:
                return name, _ours(judge(stop.value))
            answers = [lookup(question.name, question.kind) for question in questions]

    with ThreadPoolExecutor(32) as pool:
        verdicts = dict(pool.map(one, names))
    return {"verdicts": verdicts, "queries": queries()}


CONTESTANTS = {"ours": ours, "checkdmarc_scope": checkdmarc_scope, "threads": threads}


# --- The comparison ---------------------------------------------------------------------------------------------------


def compare(zones: int) -> dict[str, Any]:
    """Serve the zones, let everybody run, and print what each did."""
    import django

    django.setup()
    from tests.benchmarks.zones import domains, knot

    names = domains(zones)
    with tempfile.TemporaryDirectory() as folder, knot(names, Path(folder) / "knot") as (host, port):
        say(f"{len(names)} zones are served by Knot.")
        run = Runner(f"{host}:{port}", Path(folder))
        drawn = random.Random(20261123)
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
        agreements: list[tuple[dict[str, Any], dict[str, Any]]] = []
        for number in range(ROUNDS):
            sample = drawn.sample(names, min(300, zones))
            for contestant in CONTESTANTS:
                rounds[contestant].append(run(contestant, sample))
            agreements.append((rounds["ours"][-1]["verdicts"], rounds["checkdmarc_scope"][-1]["verdicts"]))
            say(f"round {number + 1}: " + ", ".join(f"{c} {_rate(rounds[c][-1]):.0f}/s" for c in CONTESTANTS))
        small = [run("ours", drawn.sample(names, max(zones // 20, 50))) for _ in range(ROUNDS)]
        whole = [run("ours", names) for _ in range(ROUNDS)]
        ceiling = dnsperf(host, port, names, Path(folder))
    return figures(rounds, small, whole, agreements, ceiling)


class Runner:
    """Runs a contestant in a process of its own."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server, self.folder = server, folder

    def __call__(self, contestant: str, names: list[str]) -> dict[str, Any]:
        """Return the figures of one run."""
        listed = self.folder / "names.txt"
        listed.write_text("\n".join(names))
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.audits", "--run", contestant, "--server", self.server,
             "--names", str(listed)],
            check=True, capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures


def dnsperf(host: str, port: int, names: list[str], folder: Path) -> float | None:
    """Return the questions per second that the server itself can answer; None without dnsperf."""
    binary = shutil.which("dnsperf")
    if binary is None:
        return None
    asked = folder / "queries.txt"
    asked.write_text("".join(f"{name} MX\n{name} TXT\n_dmarc.{name} TXT\n" for name in names))
    done = subprocess.run(
        [binary, "-s", host, "-p", str(port), "-d", str(asked), "-l", "5", "-c", "4", "-Q", "200000"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if "Queries per second" in line)
    return float(line.split()[-1])


def figures(
    rounds: dict[str, list[dict[str, Any]]],
    small: list[dict[str, Any]],
    whole: list[dict[str, Any]],
    agreements: list[tuple[dict[str, Any], dict[str, Any]]],
    ceiling: float | None,
) -> dict[str, Any]:
    """Put the figures together."""
    for name, runs in {**rounds, "ours, whole": whole, "ours, a twentieth": small}.items():
        say(
            f"{name:>18}: {_median(runs, _rate):8.1f} domains/s, {_median(runs, _queries):5.2f} queries/domain, "
            f"{_median(runs, _cpu) * 1000:6.2f} ms CPU/domain, {max(run['peak_mb'] for run in runs):6.1f} MB"
        )
    best = _median(whole, _rate)
    say(f"ours, whole: {[run['retried'] for run in whole]} retries, {[round(run['seconds'], 2) for run in whole]} s")
    if ceiling:
        say(f"{'dnsperf':>18}: {ceiling:8.0f} queries/s (ours: {best * _median(whole, _queries):.0f})")
    pairs = [(name, mine, theirs[name]) for mine_all, theirs in agreements for name, mine in mine_all.items()]
    agreement = {}
    for what in ("mx", "spf", "dmarc"):
        differ = [(name, mine[what], theirs[what]) for name, mine, theirs in pairs if mine[what] != theirs[what]]
        agreement[what] = round(1 - len(differ) / len(pairs), 4)
        for name, mine, theirs in differ[:5]:
            say(f"{what} of {name}: {mine} here, {theirs} there")
    scope = _median(rounds["checkdmarc_scope"], _rate)
    return {
        "domains_per_s": {
            "ours": round(best, 1),
            "checkdmarc_scope": round(scope, 1),
            "threads": round(_median(rounds["threads"], _rate), 1),
        },
        "ratio_vs_checkdmarc": round(best / scope, 2),
        "cpu_ratio": round(_median(rounds["checkdmarc_scope"], _cpu) / _median(whole, _cpu), 2),
        "queries_per_domain": {
            "ours": round(_median(whole, _queries), 2),
            "checkdmarc_scope": round(_median(rounds["checkdmarc_scope"], _queries), 2),
            "threads": round(_median(rounds["threads"], _queries), 2),
        },
        "growth": round(_median(whole, _cost) / _median(small, _cost), 3),
        "national_s": round(36_000 / best, 1),
        "agreement": agreement,
        "ceiling_queries_per_s": ceiling,
        "peak_mb": round(max(run["peak_mb"] for run in whole), 1),
        "unknown": sum(run["unknown"] for run in whole),
    }


def _median(runs: list[dict[str, Any]], figure: Callable[[dict[str, Any]], float]) -> float:
    return statistics.median(figure(run) for run in runs)


def _rate(run: dict[str, Any]) -> float:
    return float(run["domains"] / run["seconds"])


def _cost(run: dict[str, Any]) -> float:
    return float(run["cpu"] / run["domains"])


_cpu = _cost


def _queries(run: dict[str, Any]) -> float:
    return float(run["queries"] / run["domains"])


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
    main()
