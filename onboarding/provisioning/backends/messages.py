"""Messages, the mail of La Suite: its `provisioning/maildomains` API (services.md, 4.1).

Messages is told of domains, and asks us the rest: what each mailbox may hold is an entitlement that we serve. No call
makes, shuts or deletes a mailbox: a personal one appears when its holder first signs in through ProConnect, anything
else is made by hand in Messages' own administration. Those steps say so (« first_login », « by_hand »), see what was
done there when they run again, and claim nothing else.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from onboarding.provisioning import backends
from onboarding.provisioning.backends.addresses import checked, checked_domain, checked_mailbox
from onboarding.provisioning.backends.expected_records import spec_of
from onboarding.provisioning.backends.marks import Marks
from onboarding.provisioning.backends.protocols import Access, Mailbox, MailSpec, Owned
from onboarding.provisioning.backends.provider_http import Answer, Server, bad_answer
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.mark_models import MailMark
from onboarding.provisioning.models import Resource
from suite.accounts.models import Membership

PAGE, PAGES_MAX = 1000, 1000
_DOMAINS = "/api/v1.0/provisioning/maildomains/"
_MAILBOXES = "/api/v1.0/provisioning/mailboxes/"
_ADMINISTRATION = "dans l’administration de Messages"


class MessagesMail:
    """Mail domains at Messages; mailboxes as seen there."""

    def __init__(self) -> None:
        missing = [name for name in ("MESSAGES_URL", "MESSAGES_API_KEY") if not getattr(settings, name)]
        if missing:
            raise ImproperlyConfigured(f"{', '.join(missing)} must be set")
        self._server = Server("Messages", settings.MESSAGES_URL, timeout=settings.MESSAGES_TIMEOUT)
        self._marks = Marks("messages")

    # Domains

    def ensure_domain(self, domain: str, *, owner: str) -> None:
        """Have the domain, told whose it is: all four fields each time, for one left out would be reset."""
        domain = checked_domain(domain)
        mark = self._marks.of(domain)
        if mark is None:
            siret = _siret(owner)
            if self._listed(domain) is not None:
                raise Refused("conflict", f"{domain} existe déjà dans Messages, et nous ne l’y avons pas mis.")
            mark = self._marks.claim(domain, owner=owner, siret=siret)
        self._marks.check(mark, owner=owner)
        wanted = {
            "domains": [domain],
            "custom_attributes": {"siret": mark.siret},
            "oidc_autojoin": settings.MESSAGES_OIDC_AUTOJOIN,
            "identity_sync": settings.MESSAGES_IDENTITY_SYNC,
        }
        answer = self._call("POST", _DOMAINS, body=wanted).object()
        for item in _items(answer, "errors", dict):
            # One domain was asked for: whatever name the error bears, it is ours.
            told = str(item.get("error", ""))[:300]
            raise Refused("invalid", f"Messages refuse {domain} : {told}")
        done = {_normal(name) for key in ("created", "existing") for name in _items(answer, key, str)}
        if domain not in done:
            raise Unavailable("other_domain", "Messages a répondu pour un autre domaine.")

    def ensure_dkim(self, domain: str) -> None:
        """See that Messages has made its key; it does so by itself."""
        self.spec(domain)

    def ensure_quota(self, domain: str, quota: int) -> None:  # noqa: ARG002 - it is asked of us, not told
        """See that the domain is there: Messages asks our entitlements how much it and its mailboxes may hold."""
        self._record(domain)

    def spec(self, domain: str) -> MailSpec:
        """Return what to publish. `NotYet` until Messages has its key."""
        records = self._record(domain).get("expected_dns_records")
        if not isinstance(records, list) or not all(isinstance(item, dict) for item in records):
            raise bad_answer()
        found = spec_of(domain, records) if records else None
        if found is None:
            raise NotYet("no_dkim", "Messages prépare encore la clé de signature.", after=timedelta(minutes=1))
        return found

    def ensure_no_domain(self, domain: str, *, owner: str) -> None:
        """Forget a domain that was deleted by hand: no call does it. Its entitlements, ours, close it meanwhile."""
        mark = self._marks.of(domain)
        if mark is None:
            return
        self._marks.check(mark, owner=owner)
        if self._listed(domain) is not None:
            if self.mailboxes(domain):
                raise Refused("not_empty", f"La messagerie de {domain} a encore des boîtes.")
            raise Refused("by_hand", f"Supprimez {domain} {_ADMINISTRATION}, puis relancez cette étape.")
        self._marks.forget(domain)

    def domains(self) -> Iterator[Owned]:
        """Yield every domain of this instance, with our mark where it bears one."""
        marks = {owned.name: owned.owner for owned in self._marks.domains()}
        for item in self._pages():
            name = _normal(str(item.get("name", "")))
            yield Owned(name, marks.get(name))

    # Mailboxes

    def ensure_mailbox(self, mailbox: Mailbox, *, owner: str) -> None:
        """See that the mailbox has appeared; until then, say who must act."""
        address = checked(mailbox.address)
        checked_mailbox(mailbox)
        mark = self._known(address.rpartition("@")[2])
        self._marks.check(mark, owner=owner)
        if self._found(address, mark) is not None:
            return
        if mailbox.kind == "personal" and settings.MESSAGES_OIDC_AUTOJOIN:
            note = f"{address} apparaîtra quand la personne se connectera à Messages, par ProConnect."
            raise NotYet("first_login", note, after=timedelta(hours=1))
        what = "la redirection" if mailbox.kind == "redirect" else "la boîte"
        raise Refused("by_hand", f"Créez {what} {address} {_ADMINISTRATION}, puis relancez cette étape.")

    def ensure_mailbox_settings(self, mailbox: Mailbox) -> None:
        """See that the mailbox is there: its name comes from ProConnect. A redirect is directed by hand."""
        checked_mailbox(mailbox)
        self._seen(checked(mailbox.address))

    def ensure_active(self, address: str, *, active: bool, owner: str) -> None:  # noqa: ARG002 - no call for either
        """Refuse: Messages opens and shuts mailboxes by hand."""
        self._seen(checked(address))
        verb = "Ouvrez" if active else "Fermez"
        raise Refused("by_hand", f"{verb} {address} {_ADMINISTRATION}, puis passez cette étape.")

    def ensure_mailbox_quota(self, address: str, quota: int | None) -> None:
        """Refuse a bound of its own: Messages asks our entitlements."""
        self._seen(checked(address))
        if quota is not None:
            raise Refused("unsupported", f"Le quota de {address} se change dans les droits du service Messages.")

    def ensure_no_mailbox(self, address: str, *, owner: str) -> None:
        """See that the mailbox is gone: it is deleted by hand."""
        address = checked(address)
        mark = self._marks.of(address.rpartition("@")[2])
        if mark is None:
            return
        self._marks.check(mark, owner=owner)
        if self._found(address, mark) is not None:
            raise Refused("by_hand", f"Supprimez {address} {_ADMINISTRATION}, puis relancez cette étape.")

    def mailboxes(self, domain: str) -> tuple[Mailbox, ...]:
        """Return, among the addresses that we were asked for, those that exist: Messages lists none by domain."""
        mark = self._known(domain)
        asked = Resource.objects.filter(
            kind=Resource.Kind.MAILBOX, deployment__domain=domain, deployment__closed_at__isnull=True
        ).order_by("key")
        found = []
        for desired in asked.values_list("desired", flat=True):
            address = str(desired.get("address", "")).lower()
            if address.endswith(f"@{domain}") and self._found(address, mark) is not None:
                found.append(Mailbox(address, desired.get("kind", "personal"), desired.get("display_name", "")))
        return tuple(found)

    # Access, content

    def issue_access(self, address: str) -> Access:
        """Return where Messages is: its holder signs in through ProConnect, and there is no secret to give."""
        self._seen(checked(address))
        return Access(url=settings.MESSAGES_URL.rstrip("/") + "/")

    def import_message(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:  # noqa: ARG002
        """Refuse: only its holder enters a mailbox, and Messages has an import of its own for her."""
        raise Refused("unsupported", f"Seule la personne qui tient {address} peut y importer du courrier.")

    def export_messages(self, address: str) -> Iterator[tuple[str, bytes]]:
        """Refuse: only its holder enters a mailbox."""
        raise Refused("unsupported", f"Seule la personne qui tient {address} peut en exporter le courrier.")

    def check_delivery(self, address: str) -> None:
        """See that the DNS leads to Messages and that the mailbox is there: nobody may read it for its holder."""
        address = checked(address)
        domain = address.rpartition("@")[2]
        self._seen(address)
        found = backends.resolver().lookup(domain, "MX")
        if found.outcome == "unknown":
            raise Unavailable(f"dns_{found.detail}", "Le DNS n’a pas répondu pendant l’essai de la messagerie.")
        if not {value.split()[-1].lower() for value in found.values} & {host for _, host in self.spec(domain).mx}:
            wait = timedelta(minutes=1)
            raise NotYet("mx_elsewhere", "Les courriels du domaine n’arrivent pas encore à Messages.", after=wait)

    # Underneath

    def _call(self, method: str, path: str, *, body: object = None) -> Answer:
        key = settings.MESSAGES_API_KEY
        headers = (
            {"X-Channel-Id": settings.MESSAGES_CHANNEL_ID, "X-API-Key": key}
            if settings.MESSAGES_CHANNEL_ID
            else {"Authorization": f"Bearer {key}"}
        )
        return self._server.call(method, path, headers=headers, expected=(200,), json=body)

    def _known(self, domain: str) -> MailMark:
        mark = self._marks.of(domain)
        if mark is None:
            raise Refused("unknown_domain", f"La messagerie de {domain} n’existe pas chez nous.")
        return mark

    def _page(self, number: int) -> dict[str, Any]:
        query = urlencode({"page": number, "page_size": PAGE})
        return self._call("GET", f"{_DOMAINS}dns/?{query}").object()

    def _pages(self) -> Iterator[dict[str, Any]]:
        """Yield each domain, the newest page first after the first: what is looked for was often just made."""
        first = self._page(1)
        count, items = first.get("count"), _items(first, "results", dict)
        if isinstance(count, bool) or not isinstance(count, int) or count < len(items):
            raise bad_answer()
        yield from items
        # An instance may give fewer a page than it was asked for.
        pages = -(-count // len(items)) if items else 1
        if pages > PAGES_MAX:
            raise bad_answer()
        for number in range(pages, 1, -1):
            yield from _items(self._page(number), "results", dict)

    def _listed(self, domain: str) -> dict[str, Any] | None:
        return next((item for item in self._pages() if _normal(str(item.get("name", ""))) == domain), None)

    def _record(self, domain: str) -> dict[str, Any]:
        self._known(domain)
        found = self._listed(domain)
        if found is None:
            raise Refused("out_of_sync", f"Messages ne montre plus {domain}, que nous y avions mis.")
        return found

    def _found(self, address: str, mark: MailMark) -> dict[str, Any] | None:
        """Return a mailbox as Messages shows it; it must be in a domain that bears our organization's SIRET."""
        query = urlencode({"email": address, "add_maildomain_custom_attributes": "siret"})
        for item in _items(self._call("GET", f"{_MAILBOXES}?{query}").object(), "results", dict):
            if str(item.get("email", "")).lower() != address:
                raise Unavailable("other_mailbox", "Messages a répondu pour une autre boîte.")
            attributes = item.get("maildomain_custom_attributes")
            if not isinstance(attributes, dict) or str(attributes.get("siret", "")) != mark.siret:
                raise Refused("conflict", f"Dans Messages, {address} appartient à une autre organisation.")
            found: dict[str, Any] = item
            return found
        return None

    def _seen(self, address: str) -> dict[str, Any]:
        found = self._found(address, self._known(address.rpartition("@")[2]))
        if found is None:
            raise Refused("unknown_mailbox", f"La boîte {address} n’existe pas encore dans Messages.")
        return found


def _normal(name: str) -> str:
    return name.strip().lower().rstrip(".")


def _items(answer: dict[str, Any], key: str, kind: type) -> list[Any]:
    found = answer.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        raise bad_answer()
    return found


def _siret(owner: str) -> str:
    """Return the SIRET under which an organization's people come: that of its SIREN, the oldest first."""
    try:
        organization = uuid.UUID(owner.partition(":")[2])
    except ValueError:
        organization = uuid.UUID(int=0)
    memberships = Membership.objects.filter(organization=organization).exclude(siret="").order_by("created_at", "pk")
    for siret, siren in memberships.values_list("siret", "organization__siren"):
        if siren and siret.startswith(siren):
            return siret
    note = "Aucune personne de la collectivité ne s’est encore connectée avec son SIRET, que Messages doit recevoir."
    raise Refused("no_siret", note)
