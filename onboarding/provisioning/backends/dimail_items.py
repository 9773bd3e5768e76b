"""Mailboxes as dimail writes and wants them (services.md, 5.2); pure."""

from collections.abc import Mapping
from typing import Any

from onboarding.provisioning.backends.dimail_report import boolean
from onboarding.provisioning.backends.protocols import Mailbox


def names_of(mailbox: Mailbox) -> dict[str, str]:
    """Return the three names that dimail wants. Ours is one: its first word is taken for the given name."""
    whole = mailbox.display_name or mailbox.address.partition("@")[0]
    given, _, family = whole.partition(" ")
    return {"givenName": given, "surName": family or given, "displayName": whole}


def mailbox_of(address: str, kind: str, item: Mapping[str, Any]) -> Mailbox:
    """Read one item of call 11."""
    extras = item.get("extras")
    ox = extras.get("ox") if isinstance(extras, dict) else None
    name = ox.get("display_name") if isinstance(ox, dict) else None
    quota = item.get("quota")
    return Mailbox(
        address,
        kind,
        str(name or ""),
        active=boolean(item.get("active", "yes")) is not False,
        quota=quota if isinstance(quota, int) and not isinstance(quota, bool) else None,
    )
