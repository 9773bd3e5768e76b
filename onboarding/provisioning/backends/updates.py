"""Dynamic updates, transfers and questions to one DNS server, over TCP, signed by TSIG (RFC 2136, 5936, 8945)."""

from collections.abc import Callable
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataset
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
from django.conf import settings

from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.backends.rrsets import presented
from onboarding.provisioning.errors import Refused, Unavailable

_SECONDS = 5.0
_TRANSFER_SECONDS = 15.0
_UNMET = frozenset({dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET})
_DENIED = frozenset({dns.rcode.REFUSED, dns.rcode.NOTAUTH})

T = TypeVar("T")


class Unmet(Exception):
    """A prerequisite does not hold: nothing was changed."""


class Updates:
    """Speaks to RFC2136_SERVER. The key is made anew for each message: none stays where a traceback would show it."""

    def __init__(self) -> None:
        host, colon, port = settings.RFC2136_SERVER.rpartition(":")
        self._server, self._port = (host, int(port)) if colon else (settings.RFC2136_SERVER, 53)

    def update(self, zone: str) -> dns.update.UpdateMessage:
        """Return an update of the zone, to be filled and sent."""
        keyring, name = _keyring()
        return dns.update.UpdateMessage(absolute(zone), keyring=keyring, keyname=name)

    def send(self, update: dns.update.UpdateMessage) -> None:
        """Send an update. `Unmet` when a prerequisite does not hold; every other failure is an outcome of ours."""
        code = _outcomes(lambda: dns.query.tcp(update, self._server, _SECONDS, self._port)).rcode()
        if code == dns.rcode.NOERROR:
            return
        if code in _UNMET:
            raise Unmet
        said = dns.rcode.to_text(code)
        if code in _DENIED:
            sentence = f"Le serveur DNS refuse notre clé ({said}) : un administrateur doit la vérifier."
            raise Unavailable("denied", sentence)
        if code == dns.rcode.SERVFAIL:
            raise Unavailable("server_error", "Le serveur DNS est en panne (SERVFAIL).")
        raise Refused("invalid", f"Le serveur DNS refuse la demande ({said}).")

    def met(self, probe: dns.update.UpdateMessage) -> bool:
        """Whether prerequisites hold: an update that changes nothing asks it."""
        try:
            self.send(probe)
        except Unmet:
            return False
        return True

    def ask(self, name: str, kind: str) -> dns.message.Message:
        """Ask as anybody would: with a key, a server refuses to speak of a zone that it does not hold."""
        query = dns.message.make_query(absolute(name), kind)
        query.flags &= ~dns.flags.RD
        return _outcomes(lambda: dns.query.tcp(query, self._server, _SECONDS, self._port))

    def transfer(self, name: str) -> dns.zone.Zone:
        """Return the whole zone."""
        zone = dns.zone.Zone(absolute(name), relativize=False)
        keyring, keyname = _keyring()
        query, _serial = dns.xfr.make_query(zone, serial=None, keyring=keyring, keyname=keyname)

        def transfer() -> None:
            dns.query.inbound_xfr(self._server, zone, query, self._port, timeout=_SECONDS, lifetime=_TRANSFER_SECONDS)

        _outcomes(transfer)
        return zone


def absolute(name: str) -> dns.name.Name:
    """Return a full name, as dnspython wants it."""
    return dns.name.from_text(name)


def rdataset(record: Record, *, ttl: int) -> dns.rdataset.Rdataset:
    """Return a set, as dnspython wants it."""
    return dns.rdataset.from_text_list("IN", record.type, ttl, presented(record), relativize=False)


def _keyring() -> tuple[dict[dns.name.Name, dns.tsig.Key], dns.name.Name]:
    name = absolute(settings.RFC2136_KEY_NAME)
    return {name: dns.tsig.Key(name, settings.RFC2136_KEY_SECRET, settings.RFC2136_KEY_ALGORITHM)}, name


def _outcomes(call: Callable[[], T]) -> T:
    """Return what an exchange gives; a failure of transport or of signature becomes an outcome of ours."""
    try:
        return call()
    except dns.exception.Timeout as error:
        raise Unavailable("timeout", "Le serveur DNS n’a pas répondu à temps.") from error
    except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.BadKey) as error:
        raise Unavailable("denied", "Le serveur DNS et nous ne partageons pas la même clé.") from error
    except (dns.xfr.TransferError, dns.exception.DNSException, ValueError) as error:
        raise Unavailable("garbage", "Le serveur DNS a donné une réponse illisible.") from error
    except (OSError, EOFError) as error:
        raise Unavailable("unreachable", "Le serveur DNS n’a pas répondu.") from error
