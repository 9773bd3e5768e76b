"""The DNS of the local world, read without a socket: the real messages, the real server's answers, no network."""

import dns.message

from onboarding.audits.resolver import Resolver
from onboarding.provisioning.backends.local_dns import reply


class WorldResolver(Resolver):
    """Hands each question to the local server's own function."""

    def servers(self) -> list[tuple[str, int]]:
        return [("local world", 53)]

    def exchange(self, query: dns.message.QueryMessage, server: str, port: int, timeout: float) -> dns.message.Message:
        wire = reply(query.to_wire(), over_udp=False)
        assert wire is not None
        return dns.message.from_wire(wire)
