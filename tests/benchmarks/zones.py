"""Zones such as French communes have, on a real authoritative server of the distribution (Knot), on loopback."""

import os
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from django.conf import settings

from suite.directory.folding import fold
from suite.directory.snapshot import shipped

SOA = "@ 3600 IN SOA ns1.{host}. hostmaster.{host}. 2026112301 7200 3600 1209600 300\n"


@dataclass(frozen=True)
class Provider:
    """A provider of mail: its servers, what it asks its customers to write, how it builds its own SPF."""

    domain: str
    weight: int
    mx: tuple[str, ...]
    spf: str
    own: tuple[str, ...] = ()  # "name record" lines of its zone


# Invented, on the model of what communes use: one or several servers, an SPF in one to four pieces.
PROVIDERS: tuple[Provider, ...] = (
    Provider("grand-hebergeur.example", 45, ("mx1", "mx2", "mx3"), "include:mx.grand-hebergeur.example",
             ('mx TXT "v=spf1 ptr:mail-out.grand-hebergeur.example ip4:192.0.2.0/24 ?all"',)),
    Provider("bureau-en-ligne.example", 20, ("tenant",), "include:spf.bureau-en-ligne.example",
             ('spf TXT "v=spf1 ip4:198.51.100.0/25 ip4:198.51.100.128/26 ip6:2001:db8:10::/48 -all"',)),
    Provider("operateur-public.example", 15, ("relais1", "relais2"), "include:_spf.operateur-public.example",
             ('_spf TXT "v=spf1 include:_a.operateur-public.example include:_b.operateur-public.example -all"',
              '_a TXT "v=spf1 ip4:203.0.113.0/26 -all"', '_b TXT "v=spf1 ip4:203.0.113.64/26 -all"')),
    Provider("messagerie-verte.example", 12, ("in1", "in2"), "include:spf.messagerie-verte.example mx",
             ('spf TXT "v=spf1 ip4:192.0.2.128/25 ~all"',)),
    Provider("petit-atelier.example", 8, ("mail",), "a mx ip4:203.0.113.200", ()),
)  # fmt: skip

# And the long tail: the syndicate of the département, the computer shop of the valley.
PROVIDERS += tuple(
    Provider(f"atelier-{number:03d}.example", 1, ("mail", "secours"), f"include:_spf.atelier-{number:03d}.example",
             (f'_spf TXT "v=spf1 a:mail.atelier-{number:03d}.example ip4:203.0.113.{number % 256} -all"',))
    for number in range(60)
)  # fmt: skip

RUA = "mailto:dmarc@observatoire.example"


def _address(host: str, family: int) -> str:
    drawn = random.Random(f"{host}/{family}")
    if family == 4:
        return f"198.18.{drawn.randrange(256)}.{drawn.randrange(1, 255)}"
    return f"2001:db8:{drawn.randrange(65536):x}::{drawn.randrange(1, 65536):x}"


def commune_zone(domain: str, seed: int) -> str:
    """Return the zone of one commune, the same for the same seed."""
    drawn = random.Random(seed)
    provider = drawn.choices(PROVIDERS, [each.weight for each in PROVIDERS])[0]
    lines = [SOA.format(host=provider.domain), f"@ 3600 IN NS ns1.{provider.domain}.\n"]
    lines += [f"@ 3600 IN A {_address(domain, 4)}\nwww 3600 IN A {_address(domain, 4)}\n"]
    if drawn.random() < 0.93:
        lines += [f"@ 3600 IN MX {10 * (at + 1)} {host}.{provider.domain}.\n" for at, host in enumerate(provider.mx)]
    elif drawn.random() < 0.2:
        lines.append("@ 3600 IN MX 0 .\n")
    if drawn.random() < 0.25:
        lines.append(f"@ 3600 IN MX 90 mail\nmail 3600 IN A {_address('mail.' + domain, 4)}\n")
    chance = drawn.random()
    end = drawn.choice(["-all", "~all", "~all", "?all"])
    if chance < 0.80:
        lines.append(f'@ 3600 IN TXT "v=spf1 {provider.spf} {end}"\n')
    elif chance < 0.82:
        lines.append(f'@ 3600 IN TXT "v=spf1 mx -all"\n@ 3600 IN TXT "v=spf1 {provider.spf} {end}"\n')
    if drawn.random() < 0.5:
        lines.append(f'@ 3600 IN TXT "verification={drawn.getrandbits(96):x}"\n')
    if drawn.random() < 0.38:
        policy = drawn.choice(["none", "none", "quarantine", "reject", "quarantine; pct=50"])
        lines.append(f'_dmarc 3600 IN TXT "v=DMARC1; p={policy}"\n')
    if drawn.random() < 0.02:
        lines.append('_mta-sts 3600 IN TXT "v=STSv1; id=20261123"\n')
        lines.append(f'_smtp._tls 3600 IN TXT "v=TLSRPTv1; rua={RUA}"\n')
    return "".join(lines)


def provider_zone(provider: Provider) -> str:
    """Return the zone of one provider of mail."""
    lines = [SOA.format(host=provider.domain), f"@ 3600 IN NS ns1.{provider.domain}.\nns1 3600 IN A 127.0.0.1\n"]
    for host in provider.mx:
        name = f"{host}.{provider.domain}"
        lines.append(f"{host} 3600 IN A {_address(name, 4)}\n{host} 3600 IN AAAA {_address(name, 6)}\n")
    for line in provider.own:
        name, record = line.split(" ", 1)
        lines.append(f"{name} 3600 IN {record}\n")
    lines.append(f"mail-out 3600 IN A {_address('out.' + provider.domain, 4)}\n")
    return "".join(lines)


def domains(count: int) -> list[str]:
    """Return names made from those of the communes of the territory file, each once."""
    territory, _ = shipped()
    taken: dict[str, None] = {}
    for commune in territory.communes:
        label = re.sub(r"[^a-z0-9]+", "-", fold(commune.name)).strip("-")
        name = f"{label}.fr"
        taken.setdefault(f"{label}-{commune.code.lower()}.fr" if name in taken else name)
        if len(taken) == count:
            break
    return list(taken)


def free_port() -> int:
    """Return a port of loopback that nobody uses, by UDP or TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            try:
                second.bind(first.getsockname())
            except OSError:
                continue
            return int(first.getsockname()[1])


@contextmanager
def knot(names: list[str], folder: Path) -> Iterator[tuple[str, int]]:
    """Serve the zones of these communes and of their providers; yield the address of the server."""
    binary = shutil.which("knotd") or "/usr/sbin/knotd"
    shutil.rmtree(folder, ignore_errors=True)
    zones = folder / "zones"
    zones.mkdir(parents=True)
    texts = {name: commune_zone(name, seed) for seed, name in enumerate(names)}
    texts |= {provider.domain: provider_zone(provider) for provider in PROVIDERS}
    texts["fr"] = SOA.format(host="registre.example") + "@ 3600 IN NS ns1.registre.example.\n"
    for name, text in texts.items():
        (zones / f"{name}.zone").write_text(text)
    port = free_port()
    configuration = folder / "knot.conf"
    configuration.write_text(
        f"server:\n    listen: 127.0.0.1@{port}\n    rundir: {folder}\n    pidfile: knot.pid\n"
        "    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 2\n"
        f"database:\n    storage: {folder}\n"
        f"log:\n  - target: {folder}/knot.log\n    any: warning\n"
        f'template:\n  - id: default\n    storage: {zones}\n    file: "%s.zone"\n'
        "    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n"
        "zone:\n" + "".join(f"  - domain: {name}.\n" for name in texts)
    )
    server = subprocess.Popen([binary, "-c", str(configuration)], cwd=folder)
    try:
        _wait(port, [names[0], names[-1]], server)
        yield "127.0.0.1", port
    finally:
        server.terminate()
        server.wait(20)


def _wait(port: int, names: list[str], server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        try:
            answers = [
                dns.query.udp(dns.message.make_query(name, "SOA"), "127.0.0.1", port=port, timeout=0.5).answer
                for name in names
            ]
        except (dns.exception.DNSException, OSError):
            answers = []
        if answers and all(answers):
            return
        time.sleep(0.2)
    raise RuntimeError("Knot did not serve its zones.")


def working_folder() -> Path:
    """Return where a bench may write: in the checkout, never committed."""
    return Path(settings.LOCAL_DIR) / f"bench-dns-{os.getpid()}"
