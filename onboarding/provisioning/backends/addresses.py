"""Addresses of mailboxes as every provider of ours accepts them (services.md, 6.4)."""

import re
from collections.abc import Iterable

from onboarding.provisioning.backends.protocols import Mailbox
from onboarding.provisioning.errors import Refused

_LOCAL_PART = re.compile(r"[a-z0-9]+([.-]+[a-z0-9]+)*")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
_LONGEST = 64
# Where a redirect may lead belongs to others: their rules are not ours, but a line of a mail server's table is.
_TARGET = re.compile(r"[^\s@,<>\"\x00-\x20\x7f]{1,64}@[^\s@,<>\"\x00-\x20\x7f]{1,253}")


def checked(address: str) -> str:
    """Return the address in lower case. `Refused("invalid_address")` for what a provider might take and then lose.

    No accent, no underscore, no two dots in a row, 64 characters at most before the @.
    """
    local_part, _, domain = address.lower().rpartition("@")
    if len(local_part) > _LONGEST or ".." in local_part or not _LOCAL_PART.fullmatch(local_part):
        raise Refused("invalid_address", f"L’adresse {address} n’est pas de celles qu’une messagerie accepte.")
    checked_domain(domain)
    return f"{local_part}@{domain}"


def checked_domain(domain: str) -> str:
    """Return a domain as it is written in the DNS. `Refused("invalid_domain")`: accents, a scheme, one label."""
    name = domain.lower().removesuffix(".")
    if not _DOMAIN.fullmatch(name):
        raise Refused("invalid_domain", f"« {domain} » n’est pas un nom de domaine utilisable pour la messagerie.")
    return name


def parted(address: str) -> tuple[str, str]:
    """Return the local part and the domain of an address already checked."""
    local_part, _, domain = checked(address).rpartition("@")
    return local_part, domain


def checked_mailbox(mailbox: Mailbox) -> None:
    """Refuse a name with control characters, and targets that are no addresses or lead back to the mailbox itself."""
    if any(not character.isprintable() for character in mailbox.display_name):
        raise Refused("invalid_name", f"Le nom affiché de {mailbox.address} contient un caractère interdit.")
    for target in mailbox.targets:
        if not _TARGET.fullmatch(target) or not target.isascii():
            raise Refused("invalid_target", f"{mailbox.address} ne peut pas être redirigée vers « {target} ».")
        if target.lower() == mailbox.address.lower():
            raise Refused("loop", f"{mailbox.address} ne peut pas être redirigée vers elle-même.")


def refuse_loop(mailbox: Mailbox, others: Iterable[Mailbox]) -> None:
    """Refuse targets that lead back to the mailbox by way of other redirects of its domain."""
    leads = {box.address: box.targets for box in others if box.kind == "redirect"}
    address = mailbox.address.lower()
    ahead, passed = [target.lower() for target in mailbox.targets], set[str]()
    while ahead:
        here = ahead.pop()
        if here == address:
            raise Refused("loop", f"{address} se redirigerait vers elle-même, par d’autres redirections.")
        if here not in passed:
            passed.add(here)
            ahead += [target.lower() for target in leads.get(here, ())]
