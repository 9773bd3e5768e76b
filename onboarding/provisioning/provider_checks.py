"""What the providers that the settings name need to know; a wrong address is found at start, not at the first call."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from onboarding.provisioning.backends.identity_rules import LOOPBACK

HERE = "onboarding.provisioning.backends"
# What each class needs; the first is an address, and goes by https unless it stays on this machine.
NEEDS = {
    f"{HERE}.seaweedfs.SeaweedStorage": ("STORAGE_URL", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"),
    f"{HERE}.swift.SwiftStorage": ("STORAGE_URL", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"),
    f"{HERE}.proconnect.ProConnectIdentity": ("PROCONNECT_PARTNERS_URL", "PROCONNECT_PARTNERS_SECRET"),
}
A_WEEK = 168  # hours


@register()
def providers_are_told_enough(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    **_kwargs: Any,  # noqa: ANN401
) -> list[CheckMessage]:
    """Find what is missing or dangerous in the settings of the providers in use."""
    return [*_missing(), *_bounds()]


def _missing() -> Iterator[CheckMessage]:
    for role, path in settings.BACKENDS.items():
        for index, name in enumerate(NEEDS.get(path, ())):
            value = str(getattr(settings, name, ""))
            if not value:
                yield Error(f"BACKENDS[{role!r}] is {path}: {name} must be set.", id="provisioning.E030")
            elif index == 0 and not _safe(value):
                yield Error(f"{name} must be an https address.", id="provisioning.E031")


def _bounds() -> Iterator[CheckMessage]:
    for name in ("FIRST_ACCESS_HOURS", "FIRST_ACCESS_PAPER_HOURS"):
        if not 1 <= getattr(settings, name) <= A_WEEK:
            yield Error(f"{name} must be from 1 hour to a week (168).", id="provisioning.E032")
    if not 30 <= settings.STORAGE_ENFORCE_SECONDS <= settings.STORAGE_WATCH_SECONDS:  # noqa: PLR2004 - said below
        text = "STORAGE_ENFORCE_SECONDS must be at least 30, and STORAGE_WATCH_SECONDS at least as much."
        yield Error(text, id="provisioning.E033")


def _safe(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
