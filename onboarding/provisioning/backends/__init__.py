"""The outside world. Which one is a setting; what it must do is in `protocols.py`."""

import logging
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from onboarding.audits.resolver import Lookups
from onboarding.provisioning.backends.protocols import Dns, Identity, Mail, Registrar, Storage
from onboarding.provisioning.errors import Outcome

logger = logging.getLogger(__name__)

PROTOCOLS: dict[str, type] = {
    "registrar": Registrar,
    "dns": Dns,
    "mail": Mail,
    "storage": Storage,
    "identity": Identity,
    "resolver": Lookups,
}


@cache
def _built(path: str) -> object:
    return import_string(path)()


@cache
def _guarded(role: str, path: str) -> object:
    """Return the backend behind its circuit (`circuits.py`), which all workers share."""
    from onboarding.provisioning.circuits import Guarded  # noqa: PLC0415 - needs the models; the settings do not

    return Guarded(role, _built(path))


def renew() -> None:
    """Build every backend anew at its next use: a connection that answered badly is never used again."""
    _built.cache_clear()
    _guarded.cache_clear()


def registrar() -> Registrar:
    """Return the registrar that the settings name."""
    return cast("Registrar", _guarded("registrar", settings.BACKENDS["registrar"]))


def dns() -> Dns:
    """Return the DNS that the settings name."""
    return cast("Dns", _guarded("dns", settings.BACKENDS["dns"]))


def mail() -> Mail:
    """Return the mail provider that the settings name."""
    return cast("Mail", _guarded("mail", settings.BACKENDS["mail"]))


def storage() -> Storage:
    """Return the storage that the settings name."""
    return cast("Storage", _guarded("storage", settings.BACKENDS["storage"]))


def identity() -> Identity:
    """Return what attaches domains to identity providers."""
    return cast("Identity", _guarded("identity", settings.BACKENDS["identity"]))


def resolver() -> Lookups:
    """Return what reads the DNS from outside."""
    return cast("Lookups", _built(settings.BACKENDS["resolver"]))


def rectify(parent: str) -> bool:
    """Finish in one go what many small changes of a parent zone left undone; most DNS need nothing of the kind.

    A server that does not answer is asked again at the next beat: nothing is forgotten.
    """
    changed = getattr(dns(), "rectify_changed", None)
    try:
        return bool(changed(parent)) if changed is not None else False
    except Outcome as outcome:
        logger.warning("provisioning: %s was not rectified (%s)", parent, outcome.code)
        return False
