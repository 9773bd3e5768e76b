"""What every DNS backend promises. A setting (local, stand-in, real server) is a subclass with a `dns` fixture.

`PARENT` is a zone that the setting already holds, or makes at the first delegation.
"""

import threading

import pytest

from onboarding.provisioning.backends import zone_files
from onboarding.provisioning.backends.protocols import Delegation, Dns, Owned, Record
from onboarding.provisioning.errors import Refused, Unavailable

OURS, THEIRS = "organization:ours", "organization:theirs"
PARENT = "collectivite.fr"
DOMAIN = f"essai.{PARENT}"
_PATIENCE = 5


def refusal(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(Refused) as refused:
        call(*args, **kwargs)  # type: ignore[operator]  # any method of a backend
    return refused.value.code


class DnsContract:
    """`signs_by_itself`: the server signs each zone by its own policy, from the start."""

    signs_by_itself = False

    def test_has_a_zone_once_for_one_owner(self, dns: Dns) -> None:
        for _ in range(2):
            dns.ensure_zone(DOMAIN, owner=OURS)
        assert dns.delegation(DOMAIN).name_servers
        assert dns.records(DOMAIN) == ()
        assert refusal(dns.ensure_zone, DOMAIN, owner=THEIRS) == "conflict"

    def test_a_zone_is_one_whatever_its_case(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_zone(DOMAIN.upper(), owner=OURS)
        assert [each for each in dns.zones() if each.name != PARENT] == [Owned(DOMAIN, OURS)]
        assert refusal(dns.ensure_zone, DOMAIN.title(), owner=THEIRS) == "conflict"
        dns.ensure_records(DOMAIN, [Record(DOMAIN.title(), "MX", ("10 a.example.",))], owner=OURS)
        dns.ensure_records(DOMAIN, [Record(DOMAIN, "mx", ("10 b.example.",))], owner=OURS)
        assert dns.records(DOMAIN.upper()) == (Record(DOMAIN, "MX", ("10 b.example.",)),)

    def test_publishes_corrects_and_leaves_the_rest(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        kept = Record(f"www.{DOMAIN}", "CNAME", ("site.example.",))
        dns.ensure_records(DOMAIN, [kept, Record(DOMAIN, "MX", ("10 old.example.",))], owner=OURS)
        right = Record(DOMAIN, "MX", ("10 new.example.", "20 spare.example."), ttl=300)
        for _ in range(2):
            dns.ensure_records(DOMAIN, [right], owner=OURS)
        assert set(dns.records(DOMAIN)) == {kept, right}

    def test_keeps_every_kind_of_value_whole(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        wanted = {
            Record(f"suite._domainkey.{DOMAIN}", "TXT", ("v=DKIM1; k=rsa; p=" + "Ab9+/" * 120,)),
            Record(DOMAIN, "TXT", ('avec "guillemets", \\ barre ; point-virgule', "deux  espaces", "v=spf1 -all")),
            Record(f"accent.{DOMAIN}", "TXT", ("é" * 300,)),
            Record(DOMAIN, "CAA", ('0 issue "letsencrypt.org"',)),
            Record(f"_imaps._tcp.{DOMAIN}", "SRV", ("0 1 993 imap.example.",)),
            Record(f"site.{DOMAIN}", "A", ("192.0.2.7", "192.0.2.8")),
            Record(f"site.{DOMAIN}", "AAAA", ("2001:db8::7",)),
        }
        for _ in range(2):
            dns.ensure_records(DOMAIN, list(wanted), owner=OURS)
        assert set(dns.records(DOMAIN)) == wanted

    def test_never_touches_a_record_of_somebody_else(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        theirs = Record(DOMAIN, "TXT", ("v=spf1 -all",))
        dns.ensure_records(DOMAIN, [theirs], owner=THEIRS)
        assert refusal(dns.ensure_records, DOMAIN, [Record(DOMAIN, "TXT", ("v=spf1 mx",))], owner=OURS) == "conflict"
        assert refusal(dns.ensure_absent, DOMAIN, [(DOMAIN, "TXT")], owner=OURS) == "conflict"
        assert dns.records(DOMAIN) == (theirs,)

    def test_publishes_all_or_nothing(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_records(DOMAIN, [Record(DOMAIN, "TXT", ("theirs",))], owner=THEIRS)
        wanted = [Record(DOMAIN, "MX", ("10 m.example.",)), Record(DOMAIN, "TXT", ("x",))]
        assert refusal(dns.ensure_records, DOMAIN, wanted, owner=OURS) == "conflict"
        assert [record.type for record in dns.records(DOMAIN)] == ["TXT"]

    def test_refuses_a_name_outside_the_zone(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        for name, code in [(f"faux{DOMAIN}", "outside_zone"), ("autre.fr", "outside_zone"), ("à voir", "invalid_name")]:
            assert refusal(dns.ensure_records, DOMAIN, [Record(name, "A", ("192.0.2.1",))], owner=OURS) == code
        assert dns.records(DOMAIN) == ()

    def test_takes_away_what_bears_the_mark_and_nothing_else(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        gone, kept = Record(f"a.{DOMAIN}", "A", ("192.0.2.1",)), Record(f"b.{DOMAIN}", "A", ("192.0.2.2",))
        theirs = Record(f"c.{DOMAIN}", "A", ("192.0.2.3",))
        dns.ensure_records(DOMAIN, [gone, kept], owner=OURS)
        dns.ensure_records(DOMAIN, [theirs], owner=THEIRS)
        for _ in range(2):
            dns.ensure_absent(DOMAIN, [(gone.name.upper(), "A"), (f"rien.{DOMAIN}", "MX")], owner=OURS)
        assert refusal(dns.ensure_absent, DOMAIN, [(kept.name, "A"), (theirs.name, "A")], owner=OURS) == "conflict"
        assert set(dns.records(DOMAIN)) == {kept, theirs}

    def test_a_set_taken_away_is_free_for_anybody(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_records(DOMAIN, [Record(DOMAIN, "TXT", ("a",))], owner=OURS)
        dns.ensure_absent(DOMAIN, [(DOMAIN, "TXT")], owner=OURS)
        dns.ensure_records(DOMAIN, [Record(DOMAIN, "TXT", ("b",))], owner=THEIRS)
        assert dns.records(DOMAIN) == (Record(DOMAIN, "TXT", ("b",)),)

    def test_delegates_from_a_parent_of_ours_and_takes_it_back(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        for _ in range(2):
            dns.ensure_delegated(PARENT, DOMAIN, dns.delegation(DOMAIN), owner=OURS)
        delegated = Record(DOMAIN, "NS", dns.delegation(DOMAIN).name_servers)
        assert delegated in dns.records(PARENT)
        assert refusal(dns.ensure_undelegated, PARENT, DOMAIN, owner=THEIRS) == "conflict"
        other = Delegation(("ns1.ailleurs.example.",))
        assert refusal(dns.ensure_delegated, PARENT, DOMAIN, other, owner=THEIRS) == "conflict"
        assert delegated in dns.records(PARENT)
        for _ in range(2):
            dns.ensure_undelegated(PARENT, DOMAIN, owner=OURS)
        assert not [record for record in dns.records(PARENT) if record.name == DOMAIN]

    def test_signs_with_keys_made_once_and_tells_the_parent(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        assert self.signs_by_itself or dns.delegation(DOMAIN).ds == ()
        dns.ensure_signed(DOMAIN)
        signed = dns.delegation(DOMAIN)
        dns.ensure_signed(DOMAIN)
        assert dns.delegation(DOMAIN) == signed
        (ds,) = signed.ds
        _tag, algorithm, digest, content = ds.split()
        assert (algorithm, digest, len(content)) == ("13", "2", 64)
        dns.ensure_delegated(PARENT, DOMAIN, signed, owner=OURS)
        assert Record(DOMAIN, "DS", signed.ds) in dns.records(PARENT)
        assert dns.records(DOMAIN) == ()

    def test_a_delegation_without_ds_withdraws_the_one_we_gave(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        servers = dns.delegation(DOMAIN).name_servers
        dns.ensure_delegated(PARENT, DOMAIN, Delegation(servers, ("1 13 2 " + "ab" * 32,)), owner=OURS)
        dns.ensure_delegated(PARENT, DOMAIN, Delegation(servers), owner=OURS)
        assert [record.type for record in dns.records(PARENT) if record.name == DOMAIN] == ["NS"]

    def test_deletes_a_zone_that_bears_the_mark(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_records(DOMAIN, [Record(DOMAIN, "MX", ("10 a.example.",))], owner=OURS)
        assert refusal(dns.ensure_no_zone, DOMAIN, owner=THEIRS) == "conflict"
        for _ in range(2):
            dns.ensure_no_zone(DOMAIN.upper(), owner=OURS)
        assert refusal(dns.records, DOMAIN) == "unknown_zone"
        assert DOMAIN not in {each.name for each in dns.zones()}
        dns.ensure_zone(DOMAIN, owner=THEIRS)
        assert dns.records(DOMAIN) == ()

    def test_what_is_gone_with_its_zone_is_absent(self, dns: Dns) -> None:
        dns.ensure_absent("inconnu.fr", [("inconnu.fr", "MX")], owner=OURS)
        dns.ensure_undelegated("inconnu.fr", "a.inconnu.fr", owner=OURS)

    def test_lists_every_zone_with_its_mark(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        dns.ensure_zone(f"autre.{PARENT}", owner=THEIRS)
        listed = [each for each in dns.zones() if each.name != PARENT]
        assert sorted(listed, key=lambda each: each.name) == [Owned(f"autre.{PARENT}", THEIRS), Owned(DOMAIN, OURS)]

    def test_writes_the_whole_zone_as_a_file_that_reads_back(self, dns: Dns) -> None:
        dns.ensure_zone(DOMAIN, owner=OURS)
        wanted = (
            Record(DOMAIN, "MX", ("10 a.example.",), ttl=300),
            Record(DOMAIN, "TXT", ("v=spf1 " + "ip4:192.0.2.1 " * 30 + "-all",)),
            Record(f"www.{DOMAIN}", "CNAME", ("site.example.",)),
        )
        dns.ensure_records(DOMAIN, wanted, owner=OURS)
        dns.ensure_signed(DOMAIN)
        text = dns.zone_file(DOMAIN)
        assert zone_files.read(DOMAIN, text) == wanted
        assert "SOA" in text
        assert all(server in text for server in dns.delegation(DOMAIN).name_servers)

    @pytest.mark.parametrize("ask", ["delegation", "records", "ensure_signed", "zone_file"])
    def test_refuses_a_zone_it_does_not_hold(self, dns: Dns, ask: str) -> None:
        assert refusal(getattr(dns, ask), "inconnu.fr") == "unknown_zone"

    def test_refuses_records_for_a_zone_it_does_not_hold(self, dns: Dns) -> None:
        wanted = [Record("inconnu.fr", "A", ("192.0.2.1",))]
        assert refusal(dns.ensure_records, "inconnu.fr", wanted, owner=OURS) == "unknown_zone"

    def test_writers_at_the_same_moment_lose_nothing(self, dns: Dns) -> None:
        outcomes = []

        def build(name: str) -> None:
            dns.ensure_zone(DOMAIN, owner=OURS)
            dns.ensure_signed(DOMAIN)
            dns.ensure_delegated(PARENT, name, Delegation(("ns1.suite.example.",)), owner=OURS)
            dns.ensure_records(DOMAIN, [Record(DOMAIN, "MX", ("10 a.example.",))], owner=OURS)

        def write(number: int) -> None:
            """Build as the engine does: what is unavailable (a locked database behind the server) is asked again."""
            for _ in range(_PATIENCE):
                try:
                    build(f"c{number}.{PARENT}")
                except Unavailable:
                    continue
                except Exception as error:  # noqa: BLE001 - told by the assertion below
                    outcomes.append(repr(error))
                    return
                outcomes.append("done")
                return

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert outcomes == ["done"] * 6
        assert {record.name for record in dns.records(PARENT)} >= {f"c{number}.{PARENT}" for number in range(6)}
        assert len(dns.delegation(DOMAIN).ds) == 1
        assert [each for each in dns.zones() if each.name == DOMAIN] == [Owned(DOMAIN, OURS)]
