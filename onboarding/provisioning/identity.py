"""Which domains are attached to an identity provider: the list is one for all communes, and each change replaces it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.db import connection

from onboarding.provisioning import backends
from onboarding.provisioning.errors import NotYet
from onboarding.provisioning.models import Deployment, Resource


def wanted_of(deployment: Deployment) -> dict[str, Any] | None:
    """Return what the deployment's domain asks, None when its operator has no identity provider."""
    provider = deployment.operator.identity_provider
    return {"provider": provider, "domain": deployment.domain} if provider else None


def attach(resource: Resource) -> None:
    """Attach the domain of a resource to its provider, beside those of the other open deployments. Raises outcomes."""
    _replace(resource, keep=True)


def detach(resource: Resource) -> None:
    """Detach the domain of a resource; gone already is done. Raises outcomes."""
    _replace(resource, keep=False)


def attached(resource: Resource) -> bool:
    """Tell whether the domain is attached now. Raises outcomes."""
    domain: str = resource.desired["domain"]
    return domain in backends.identity().domains(resource.desired["provider"])


def _replace(resource: Resource, *, keep: bool) -> None:
    provider, own = resource.desired["provider"], frozenset({resource.desired["domain"]})
    every = Resource.objects.filter(kind=Resource.Kind.IDENTITY, desired__provider=provider)
    with _alone(provider):
        # Read once we are alone: whoever was here before has left its own domain live.
        live = backends.identity().domains(provider)
        known = frozenset(every.values_list("desired__domain", flat=True)) | own
        still_open = frozenset(every.filter(deployment__closed_at=None).values_list("desired__domain", flat=True))
        # Only what is live stays: another's domain, not yet allowed, must not have ours refused.
        others = (live & still_open) - own
        backends.identity().ensure_domains(provider, others | own if keep else others, known=known)


@contextmanager
def _alone(provider: str) -> Iterator[None]:
    """Keep other workers from the provider's list. The lock is the connection's: it falls with a killed worker.

    It is no transaction: nothing else waits while we call outside.
    """
    number = int.from_bytes(sha256(f"identity:{provider}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        (ours,) = cursor.fetchone()
    if not ours:
        raise NotYet(
            "provider_in_use",
            "D’autres domaines se rattachent en ce moment au même fournisseur d’identité.",
            after=timedelta(seconds=2),
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
