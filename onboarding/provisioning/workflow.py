"""The verbs of a deployment: start, and what a person may do to a step that is blocked."""

from dataclasses import dataclass

from django.db import transaction

from onboarding.provisioning.models import Deployment
from suite.accounts.models import User
from suite.directory.models import Operator, Organization


@dataclass(frozen=True)
class MailboxPlan:
    """One mailbox to build: `kind` is "personal", "shared" or "redirect"; `targets` only for a redirect."""

    local_part: str
    display_name: str
    kind: str
    recovery_email: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What was approved. `zone_kind` is a `Deployment.ZoneKind`; `storage_quota` is in bytes; services by public id."""

    organization: Organization
    operator: Operator
    domain: str
    zone_kind: str
    welcome_email: str
    mailboxes: tuple[MailboxPlan, ...]
    storage_quota: int
    service_ids: tuple[int, ...] = ()


@transaction.atomic
def start(plan: Plan, *, by: User) -> Deployment:
    """Write the deployment, its resources and its steps; wake a worker once the transaction holds."""
    raise NotImplementedError
