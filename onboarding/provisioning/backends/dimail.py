"""dimail, the State's mail provisioning API, as services.md, 5 describes it.

dimail keeps no mark of ours: `Marks` does. Nothing that a call answered is believed before it is seen in dimail's own
lists, and whatever was left in doubt is looked at before anything is asked again. The passwords that dimail sends
back are never read.
"""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured

from onboarding.provisioning import backends
from onboarding.provisioning.backends import dimail_report
from onboarding.provisioning.backends.addresses import checked, checked_domain, checked_mailbox, parted
from onboarding.provisioning.backends.dimail_client import Client, at
from onboarding.provisioning.backends.marks import Marks
from onboarding.provisioning.backends.protocols import Access, Mailbox, MailSpec, Owned
from onboarding.provisioning.backends.provider_http import Answer, bad_answer
from onboarding.provisioning.errors import NotYet, Refused, Unavailable

logger = logging.getLogger(__name__)

CODE_LIFE, CODE_USES = 600, 1  # seconds; services.md, 6.5
FIX_EVERY = 3600  # seconds
_NOT_FOUND, _CONFLICT, _BROKEN = 404, 409, 500
_SYSTEM = "oxadmin"
_NOWHERE = "devnull@devnull"


class DimailMail:
    """Domains, mailboxes and aliases at dimail."""

    def __init__(self) -> None:
        missing = [
            name for name in ("DIMAIL_URL", "DIMAIL_CREDENTIALS", "DIMAIL_WEBMAIL_URL") if not getattr(settings, name)
        ]
        if missing:
            raise ImproperlyConfigured(f"{', '.join(missing)} must be set")
        self._client = Client()
        self._marks = Marks("dimail")

    # Domains

    def ensure_domain(self, domain: str, *, owner: str) -> None:
        """Have the domain. One that is there before we ever asked for it is not ours."""
        domain = checked_domain(domain)
        mark = self._marks.of(domain)
        if mark is not None:
            self._marks.check(mark, owner=owner)
        seen = self._report(domain)
        if mark is None:
            if seen is not None:
                raise self._taken(domain)
            self._marks.claim(domain, owner=owner)
        if seen is not None:
            return
        wanted = {
            "name": domain,
            "context_name": domain,
            "features": ["webmail", "mailbox", "alias"],
            "delivery": "virtual",
        }
        answer = self._client.domain_call("POST", "/domains/", expected=(201, _CONFLICT), body=wanted)
        if self._report(domain) is not None:
            return
        if answer.status == _CONFLICT:  # there, yet hidden from us: somebody else's
            self._marks.forget(domain)
            raise self._taken(domain)
        raise Unavailable("not_seen", "dimail a accepté le domaine, mais ne le montre pas encore.")

    def ensure_dkim(self, domain: str) -> None:
        """See that dimail has made its key; it does so by itself."""
        self.spec(domain)

    def ensure_quota(self, domain: str, quota: int) -> None:  # noqa: ARG002 - dimail has no call for it
        """See that the domain is there: dimail bounds domains itself, by its own agreement with the State."""
        if self._report(self._known(domain)) is None:
            raise _out_of_sync(domain)

    def spec(self, domain: str) -> MailSpec:
        """Return what to publish (call 5). `NotYet` until dimail has its key."""
        self._known(domain)
        records = [_record(item) for item in self._client.domain_call("GET", at("domains", domain, "spec")).objects()]
        found = _spec(domain, records)
        if found is None:
            raise NotYet("no_dkim", "dimail prépare encore la clé de signature.", after=timedelta(minutes=1))
        return found

    def ensure_no_domain(self, domain: str, *, owner: str) -> None:
        """Forget a domain that dimail's people have deleted: no call does it."""
        mark = self._marks.of(domain)
        if mark is None:
            return
        self._marks.check(mark, owner=owner)
        if self._report(domain) is not None:
            if self.mailboxes(domain):
                raise Refused("not_empty", f"La messagerie de {domain} a encore des boîtes.")
            raise Refused("by_hand", f"Demandez à l’équipe de dimail de supprimer {domain}, puis relancez cette étape.")
        self._marks.forget(domain)

    def domains(self) -> Iterator[Owned]:
        """Yield the domains that we made and that are still there, looked at one by one: dimail lists none."""
        for owned in self._marks.domains():
            if self._report(owned.name) is not None:
                yield owned

    # Mailboxes

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        """Have the mailbox; for a redirect, its aliases."""
        local_part, domain = parted(mailbox.address)
        address = f"{local_part}@{domain}"
        checked_mailbox(mailbox)
        mark = self._marks.of(domain, local_part)
        seen = self._find(address)
        if mark is None and seen is not None:
            raise Refused("conflict", f"{address} existe déjà chez dimail, et nous ne l’avons pas faite.")
        owned = self._marks.of(domain)
        if owned is not None:
            self._marks.check(owned, owner=owner)
        self._marks.claim(domain, local_part, owner=owner, kind=mailbox.kind)
        if seen is not None:
            return
        if mailbox.kind == "redirect":
            self._direct(address, mailbox.targets)
        else:
            self._create(address, mailbox)

    def ensure_mailbox_settings(self, mailbox: Mailbox) -> None:
        """Tell dimail the display name, or the targets."""
        checked_mailbox(mailbox)
        seen = self._seen(checked(mailbox.address))
        if seen.kind == "redirect":
            self._direct(seen.address, mailbox.targets)
        elif mailbox.display_name and seen.display_name != mailbox.display_name:
            if not seen.active:
                # dimail takes a name only together with the opening of the mailbox.
                raise Refused("inactive", f"La boîte {seen.address} est fermée : rouvrez-la pour changer son nom.")
            self._refuse_homonym(seen.address, mailbox.display_name)
            self._patch(seen.address, {"active": "yes", **_names(mailbox)})
            if self._seen(seen.address).display_name != mailbox.display_name:
                raise Unavailable("not_applied", "dimail a accepté le nouveau nom, mais ne le montre pas.")

    def ensure_active(self, address: str, *, active: bool, owner: str) -> None:
        """Open or shut a mailbox (call 8), and look whether it was done: old servers say yes and do nothing."""
        seen = self._seen(checked(address))
        self._check_mark(seen.address, owner)
        if seen.active == active:
            return
        if seen.kind == "redirect":
            raise Refused("unsupported", f"{address} est une redirection : dimail ne sait que la supprimer.")
        self._patch(seen.address, {"active": "yes", **_names(seen)} if active else {"active": "no"})
        if self._seen(seen.address).active != active:
            raise Refused("unsupported", "Ce serveur dimail n’ouvre ni ne ferme les boîtes : demandez à son équipe.")

    def ensure_mailbox_quota(self, address: str, quota: int | None) -> None:
        """Refuse what dimail cannot do: it shows a quota and offers no way to change it."""
        if self._seen(checked(address)).quota != quota:
            raise Refused("unsupported", "dimail ne permet pas de fixer le quota d’une boîte : demandez à son équipe.")

    def ensure_no_mailbox(self, address: str, *, owner: str) -> None:
        """Delete the mailbox (call 18, where it is allowed), or every alias of a redirect (call 14)."""
        local_part, domain = parted(address)
        mark = self._marks.of(domain, local_part)
        seen = self._find(f"{local_part}@{domain}") if self._marks.of(domain) else None
        if seen is not None:
            self._check_mark(seen.address, owner)
            if seen.kind == "redirect":
                path = at("domains", domain, "aliases", local_part, "all", end="")
                self._client.mailbox_call("DELETE", path, expected=(204, _NOT_FOUND), body={})
            elif settings.DIMAIL_DELETES:
                path = at("domains", domain, "mailboxes", local_part, end="")
                self._client.mailbox_call("DELETE", path, expected=(204, _NOT_FOUND))
            else:
                raise Refused("by_hand", f"Demandez à l’équipe de dimail de supprimer {address}, puis relancez.")
            if self._find(seen.address) is not None:
                raise Unavailable("not_applied", "dimail a accepté la suppression, mais montre encore l’adresse.")
        elif mark is not None:
            self._marks.check(mark, owner=owner)
        self._marks.forget(domain, local_part)

    def mailboxes(self, domain: str) -> tuple[Mailbox, ...]:
        """Return mailboxes (call 11) and redirects (call 15): ours and those that we did not make."""
        self._known(domain)
        found: dict[str, Mailbox] = {}
        odd = 0
        kinds = self._marks.kinds(domain)
        path = at("v2", "domains", domain, "mailboxes")
        for item in self._client.mailbox_call("GET", path).objects():
            address = str(item.get("email", "")).lower()
            local_part, _, where = address.rpartition("@")
            if local_part == _SYSTEM and where == domain:
                continue
            if where != domain or not local_part or not local_part.isascii():
                odd += 1
                continue
            otherwise = "personal" if "ox" in (item.get("features") or []) else "shared"
            found[address] = _mailbox(address, self._marks.kind(kinds, local_part, otherwise), item)
        for local_part, targets in self._aliases(domain).items():
            address = f"{local_part}@{domain}"
            if address not in found:
                found[address] = Mailbox(address, "redirect", "", tuple(sorted(targets)))
        if odd:
            logger.warning("dimail lists %d mailboxes in %s that are none of its own.", odd, domain)
        return tuple(found[address] for address in sorted(found))

    # Access, content

    def issue_access(self, address: str) -> Access:
        """Ask for a code (call 10) that opens the webmail once, for ten minutes at most; dimail's own words hold."""
        seen = self._seen(checked(address))
        if seen.kind == "redirect":
            raise Refused("no_access", f"{address} est une redirection : personne n’y entre.")
        if not seen.active:
            raise Refused("inactive", f"La boîte {address} est fermée : rouvrez-la d’abord.")
        local_part, domain = parted(address)
        path = at("domains", domain, "mailboxes", local_part, "code", end="")
        answer = self._client.mailbox_call("POST", path, body={"expires_in": CODE_LIFE, "maxuse": CODE_USES}).object()
        code, until = answer.get("code"), answer.get("expires_at")
        if str(answer.get("email", "")).lower() != seen.address:
            raise Unavailable("other_mailbox", "dimail a répondu pour une autre boîte.")
        if not isinstance(code, str) or not code or isinstance(until, bool) or not isinstance(until, int | float):
            raise bad_answer()
        if not time.time() < until < time.time() + 7 * 86400:
            raise Unavailable("bad_code", "dimail a donné un code qui ne vaut pas, ou vaut trop longtemps.")
        url = f"{settings.DIMAIL_WEBMAIL_URL.rstrip('/')}/code/{quote(code, safe='')}"
        return Access(url=url, expires_at=datetime.fromtimestamp(until, UTC))

    def import_message(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:  # noqa: ARG002
        """Refuse: only its holder enters a mailbox of dimail's."""
        raise Refused("unsupported", f"dimail n’ouvre {address} qu’à la personne qui la tient.")

    def export_messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Refuse: idem."""
        raise Refused("unsupported", f"dimail n’ouvre {address} qu’à la personne qui la tient.")

    def check_delivery(self, address: str) -> None:
        """See that the DNS leads to dimail, that the mailbox is open, and that dimail's own report is good.

        Nobody may read a mailbox on behalf of its holder. What dimail alone can mend it is asked to (call 4), once an
        hour.
        """
        seen = self._seen(checked(address))
        domain = seen.address.rpartition("@")[2]
        if seen.kind == "redirect" and not seen.targets:
            raise Refused("no_target", f"La redirection {address} ne mène nulle part.")
        if not seen.active:
            raise Refused("inactive", f"La boîte {address} est fermée : elle ne reçoit rien.")
        self._check_mx(domain)
        report = self._report(domain)
        if report is not None and not report.ok and not report.outside and self._may_fix(domain):
            answer = self._client.domain_call("GET", at("domains", domain, "fix"))
            report = self._read_report(domain, answer)
        if report is None:
            raise _out_of_sync(domain)
        if report.outside:
            raise NotYet("dimail_outside", f"dimail attend : {report.told()}", after=timedelta(minutes=5))
        if not report.ok:
            raise NotYet("dimail_inside", f"dimail termine : {report.told()}", after=timedelta(hours=1))

    # Underneath

    def _known(self, domain: str) -> str:
        """Refuse a domain that we never asked for, without asking anything about it."""
        if self._marks.of(domain) is None:
            raise Refused("unknown_domain", f"La messagerie de {domain} n’existe pas chez nous.")
        return domain

    def _report(self, domain: str) -> dimail_report.Report | None:
        """Call 3; None when the domain is not there, or hidden from us."""
        answer = self._client.domain_call(
            "GET", at("domains", domain, "check", end=""), expected=(200, 401, 403, _NOT_FOUND)
        )
        if answer.status in {401, 403}:
            # A domain of another's is refused as a wrong password would be: the token tells which.
            self._client.token(fresh=True)
            return None
        return None if answer.status == _NOT_FOUND else self._read_report(domain, answer)

    @staticmethod
    def _read_report(domain: str, answer: Answer) -> dimail_report.Report:
        body = answer.object()
        if str(body.get("name", "")).lower() != domain:
            raise Unavailable("other_domain", "dimail a répondu pour un autre domaine.")
        return dimail_report.read(body)

    @staticmethod
    def _may_fix(domain: str) -> bool:
        return bool(cache.add(f"dimail-fix:{domain}", True, FIX_EVERY))

    def _check_mx(self, domain: str) -> None:
        found = backends.resolver().lookup(domain, "MX")
        if found.outcome == "unknown":
            raise Unavailable(f"dns_{found.detail}", "Le DNS n’a pas répondu pendant l’essai de la messagerie.")
        hosts = {value.split()[-1].lower() for value in found.values}
        if not hosts & {host for _, host in self.spec(domain).mx}:
            wait = timedelta(minutes=1)
            raise NotYet("mx_elsewhere", "Les courriels du domaine n’arrivent pas encore chez dimail.", after=wait)

    def _find(self, address: str) -> Mailbox | None:
        domain = address.rpartition("@")[2]
        return next((each for each in self.mailboxes(domain) if each.address == address), None)

    def _seen(self, address: str) -> Mailbox:
        found = self._find(address)
        if found is None:
            raise Refused("unknown_mailbox", f"La boîte {address} n’existe pas.")
        return found

    def _check_mark(self, address: str, owner: str) -> None:
        local_part, domain = parted(address)
        mark = self._marks.of(domain, local_part)
        if mark is None:
            raise Refused("conflict", f"{address} existe chez dimail, et nous ne l’avons pas faite.")
        self._marks.check(mark, owner=owner)

    def _create(self, address: str, mailbox: Mailbox) -> None:
        """Call 6; a 500 is resolved by 7, then 11."""
        local_part, domain = parted(address)
        path = at("domains", domain, "mailboxes", local_part, end="")
        answer = self._client.mailbox_call("POST", path, expected=(201, _CONFLICT, _BROKEN), body=_names(mailbox))
        if answer.status == _BROKEN:
            self._resolve(address, mailbox)
        elif answer.status != _CONFLICT and str(answer.object().get("email", "")).lower() != address:
            raise Unavailable("other_mailbox", "dimail a répondu pour une autre boîte.")
        if self._find(address) is None:
            raise Unavailable("not_seen", "dimail a accepté la boîte, mais ne la montre pas encore.")

    def _resolve(self, address: str, mailbox: Mailbox) -> None:
        """Say what a 500 of call 6 was: ours already (then return), somebody of the same name, or a real failure."""
        local_part, domain = parted(address)
        path = at("domains", domain, "address", local_part)
        answer = self._client.mailbox_call("GET", path, expected=(200, _NOT_FOUND))
        other = "" if answer.status == _NOT_FOUND else str(answer.object().get("ox_primary_email") or "").lower()
        if other == address:
            return
        if not other:
            raise Unavailable("status_500", "dimail n’a pas pu créer la boîte ; nous réessaierons.")
        self._marks.forget(domain, local_part)
        raise _homonym(mailbox.display_name, other)

    def _refuse_homonym(self, address: str, display_name: str) -> None:
        for other in self.mailboxes(address.rpartition("@")[2]):
            if other.address != address and other.display_name.casefold() == display_name.casefold():
                raise _homonym(display_name, other.address)

    def _patch(self, address: str, body: dict[str, str]) -> None:
        local_part, domain = parted(address)
        self._client.mailbox_call("PATCH", at("domains", domain, "mailboxes", local_part, end=""), body=body)

    def _aliases(self, domain: str) -> dict[str, set[str]]:
        """Call 15, by local part."""
        found: dict[str, set[str]] = {}
        for item in self._client.mailbox_call("GET", at("domains", domain, "aliases")).objects():
            name, where, target = (str(item.get(key, "")).lower() for key in ("username", "domain", "destination"))
            if where == domain and name and target and target != _NOWHERE:
                found.setdefault(name, set()).add(target)
        return found

    def _direct(self, address: str, targets: tuple[str, ...]) -> None:
        """Make the aliases of an address exactly these: the new first, so that no message meets a gap."""
        if not targets:
            raise Refused("no_target", f"La redirection {address} ne mène nulle part : chez dimail, elle n’existe pas.")
        local_part, domain = parted(address)
        wanted = {target.lower() for target in targets}
        present = self._aliases(domain).get(local_part, set())
        for target in sorted(wanted - present):
            body = {"user_name": local_part, "destination": target}
            path = at("domains", domain, "aliases")
            self._client.mailbox_call("POST", path, expected=(200, 201, _CONFLICT), body=body)
        for target in sorted(present - wanted):
            path = at("domains", domain, "aliases", local_part, target, end="")
            self._client.mailbox_call("DELETE", path, expected=(204, _NOT_FOUND), body={})
        if present != wanted and self._aliases(domain).get(local_part, set()) != wanted:
            raise Unavailable("not_applied", "dimail a accepté la redirection, mais en montre une autre.")

    @staticmethod
    def _taken(domain: str) -> Refused:
        return Refused("conflict", f"{domain} existe déjà chez dimail, et nous ne l’avons pas fait : voyez son équipe.")


def _out_of_sync(domain: str) -> Refused:
    return Refused("out_of_sync", f"dimail ne montre plus {domain}, que nous y avions créé.")


def _homonym(display_name: str, other: str) -> Refused:
    return Refused(
        "homonym",
        f"Une autre boîte, {other}, porte déjà le nom affiché « {display_name} ». Distinguez-les : ajoutez le service "
        "entre parenthèses, ou un numéro.",
    )


def _names(mailbox: Mailbox) -> dict[str, str]:
    """Return the three names that dimail wants. Ours is one: its first word is taken for the given name."""
    whole = mailbox.display_name or mailbox.address.partition("@")[0]
    given, _, family = whole.partition(" ")
    return {"givenName": given, "surName": family or given, "displayName": whole}


def _mailbox(address: str, kind: str, item: dict[str, Any]) -> Mailbox:
    extras = item.get("extras")
    ox = extras.get("ox") if isinstance(extras, dict) else None
    name = ox.get("display_name") if isinstance(ox, dict) else None
    quota = item.get("quota")
    return Mailbox(
        address,
        kind,
        str(name or ""),
        active=dimail_report.boolean(item.get("active", "yes")) is not False,
        quota=quota if isinstance(quota, int) and not isinstance(quota, bool) else None,
    )


def _record(item: dict[str, Any]) -> tuple[str, str, str]:
    try:
        target, kind, value = (str(item[key]).strip() for key in ("target", "type", "value"))
    except KeyError:
        raise bad_answer() from None
    return target.lower().rstrip("."), kind.upper(), value


def _spec(domain: str, records: list[tuple[str, str, str]]) -> MailSpec | None:
    """Read the expected records; None while there is no key."""
    mx: list[tuple[int, str]] = []
    aliases: list[tuple[str, str]] = []
    spf = selector = dkim = ""
    for target, kind, value in records:
        label = "" if target in {"", "@", domain} else target.removesuffix(f".{domain}")
        if kind == "MX" and not label:
            words = value.split()
            preference = int(words[0]) if len(words) > 1 and words[0].isdigit() else 10
            mx.append((preference, _host(words[-1] if words else "")))
        elif kind == "CNAME" and label:
            aliases.append((label, _host(value)))
        elif kind == "TXT" and label.endswith("._domainkey"):
            selector, dkim = label.removesuffix("._domainkey"), value
        elif kind == "TXT" and not label and value.lower().startswith("v=spf1 "):
            spf = " ".join(term for term in value.split()[1:] if not term.lower().endswith("all"))
    if not mx or not spf:
        raise bad_answer()
    return MailSpec(tuple(sorted(mx)), spf, selector, dkim, tuple(sorted(aliases))) if selector and dkim else None


def _host(name: str) -> str:
    try:
        return f"{checked_domain(name)}."
    except Refused:
        raise bad_answer() from None
