"""What must hold before anything runs: the lease outlives a task, and each backend keeps its Protocol."""

import inspect
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from onboarding.provisioning.backends import PROTOCOLS


@register()
def lease_outlives_task(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:  # noqa: ANN401, ARG001 - Django's signature
    """A step must not come due again while Celery may still be running it."""
    if settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT < settings.PROVISIONING_LEASE_SECONDS:
        return []
    return [
        Error(
            "The lease of a step must be longer than a task may last, and the soft limit shorter than the hard one.",
            hint="CELERY_TASK_SOFT_TIME_LIMIT < CELERY_TASK_TIME_LIMIT < PROVISIONING_LEASE_SECONDS",
            id="provisioning.E001",
        )
    ]


@register()
def backends_keep_their_protocols(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    **_kwargs: Any,  # noqa: ANN401
) -> list[CheckMessage]:
    """Build each backend that the settings name, and compare its methods with what is promised."""
    found: list[CheckMessage] = []
    for role, protocol in PROTOCOLS.items():
        path = settings.BACKENDS.get(role, "")
        try:
            backend = import_string(path)()
        except (ImportError, TypeError, ImproperlyConfigured) as error:
            found.append(Error(f"BACKENDS[{role!r}]: {path!r} cannot be built: {error}", id="provisioning.E002"))
            continue
        for name, promised in inspect.getmembers(protocol, inspect.isfunction):
            if name.startswith("_"):
                continue
            if _shape(getattr(backend, name, None)) != _shape(promised):
                text = f"BACKENDS[{role!r}]: {path} has no `{name}{inspect.signature(promised)}`."
                found.append(Error(text, id="provisioning.E003"))
    return found


def _shape(function: object) -> list[tuple[str, object]] | None:
    """Return the parameters of a function, `self` left out; None for what cannot be called."""
    if not callable(function):
        return None
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind) for each in parameters if each.name != "self"]
