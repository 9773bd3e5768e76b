"""Our verdicts beside checkdmarc's, where both judge, on the zones of the golden table served for real.

Every disagreement is in DISAGREEMENTS, with its reason; one that is not there, or no longer is, fails.
"""

from typing import Any

import pytest

from onboarding.audits.gathering import mail
from onboarding.audits.resolver import Resolver, drive
from onboarding.audits.rules.mail import judge
from tests.audits.golden import Row, rows
from tests.live.zone_dns import ZoneDns

LOST = "a question without answer is unknown here, a failure there"
GONE = "checkdmarc raises an error for a name that does not exist: for us it has no MX"
CASE = "the ABNF of RFC 7208 is case-insensitive (RFC 5234, 2.3): V=SPF1 is v=spf1"
BESIDE = "texts that are no DMARC record are set aside (RFC 7489, 6.6.3); checkdmarc asks for their removal"
SUFFIX = "a name under collectivite.fr is somebody's own: nothing is inherited from the suffix"

# (domain, record): (ours, theirs, why)
DISAGREEMENTS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("spf-renvoi-muet.fr", "spf"): ("unknown", "fail", LOST),
    ("mal-signe.fr", "mx"): ("unknown", "fail", LOST),
    ("mal-signe.fr", "spf"): ("unknown", "fail", LOST),
    ("mx-muet.fr", "mx"): ("unknown", "fail", LOST),
    ("mx-malade.fr", "mx"): ("unknown", "fail", LOST),
    ("mx-refuse.fr", "mx"): ("unknown", "fail", LOST),
    ("mx-muet-sans-spf.fr", "mx"): ("unknown", "fail", LOST),
    ("texte-muet.fr", "spf"): ("unknown", "fail", LOST),
    ("dmarc-muet.fr", "dmarc"): ("unknown", "fail", LOST),
    ("mairie.herite-muet.fr", "dmarc"): ("unknown", "fail", LOST),
    ("defaut-txt-perdu.fr", "spf"): ("unknown", "fail", LOST),
    ("defaut-txt-perdu.fr", "dmarc"): ("unknown", "fail", LOST),
    ("spf-majuscules.fr", "spf"): ("pass", "fail", CASE),
    ("dmarc-a-cote.fr", "dmarc"): ("pass", "fail", BESIDE),
    ("mairie.minuscule-du-milieu.fr", "dmarc"): ("pass", "fail", BESIDE),
    ("trois.collectivite.fr", "dmarc"): ("fail", "pass", SUFFIX),
}
JUDGED = [row for row in rows() if row.zone and row.mail != "none"]


def ours(server: ZoneDns, domain: str) -> dict[str, str]:
    found = {each.id: each for each in judge(drive(mail(domain), Quick("{}:{}".format(*server.address))))}
    # That a record lets anybody write is said by a reason of its own: for both it is a record that holds.
    holds = found["B1"].reason in {"ok", "spf_open", "spf_neutral", "spf_ptr"}
    return {"mx": found["2.4"].state, "spf": "pass" if holds else found["B1"].state, "dmarc": found["2.6"].state}


def theirs(server: ZoneDns, domain: str) -> dict[str, str]:
    import checkdmarc.dmarc  # noqa: PLC0415 - slow to load, and only here
    import checkdmarc.spf  # noqa: PLC0415 - idem
    import checkdmarc.utils  # noqa: PLC0415 - idem
    import dns.nameserver  # noqa: PLC0415 - idem

    asked: dict[str, Any] = {"nameservers": [dns.nameserver.Do53Nameserver(*server.address)], "timeout": 0.3}
    try:
        hosts = checkdmarc.utils.get_mx_records(domain, **asked)
    except checkdmarc.utils.DNSException:
        hosts = []
    return {
        "mx": "pass" if any(each["hostname"] not in {"", "."} for each in hosts) else "fail",
        "spf": "pass" if checkdmarc.spf.check_spf(domain, **asked)["valid"] else "fail",
        "dmarc": "pass" if checkdmarc.dmarc.check_dmarc(domain, **asked).get("valid") else "fail",
    }


class Quick(Resolver):
    """On loopback what does not answer at once never will."""

    TIMEOUT = 0.2


@pytest.mark.parametrize("row", JUDGED, ids=[row.domain for row in JUDGED])
def test_both_agree_but_where_it_is_explained(row: Row) -> None:
    domain = row.zone_of or row.domain
    with ZoneDns(row.records()) as server:
        found, other = ours(server, domain), theirs(server, domain)
    for record, state in found.items():
        expected = DISAGREEMENTS.get((row.domain, record), (state, state, ""))
        assert (state, other[record]) == expected[:2], record


def test_every_disagreement_is_of_a_row_of_the_table() -> None:
    assert {domain for domain, _ in DISAGREEMENTS} <= {row.domain for row in JUDGED}
    assert len(JUDGED) >= 80
