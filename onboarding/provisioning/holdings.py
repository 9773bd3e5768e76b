"""What an organization holds: its mailboxes with what was last seen of them, and what it is entitled to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.utils import timezone

from onboarding.provisioning.change_models import MoreRequest
from onboarding.provisioning.models import Deployment, Resource, Step
from suite import trade
from suite.directory.folding import letters

QUARANTINE = timedelta(days=183)
PERSONAL, SHARED, REDIRECT = "personal", "shared", "redirect"
KINDS = {PERSONAL: "Boîte personnelle", SHARED: "Boîte partagée", REDIRECT: "Redirection"}
Name = Step.Name
# What takes a box away at its hour: until then, nothing is under way.
_REMOVAL = {Name.MAILBOX_REMOVAL}


@dataclass(frozen=True)
class Box:
    """One mailbox as its page shows it. Sizes in bytes; `removal_at`: when it will be deleted, None if it will not."""

    resource: Resource
    under_way: Step | None
    removal_at: datetime | None

    @property
    def address(self) -> str:
        """Its address."""
        return self.resource.key

    @property
    def kind(self) -> str:
        """Which of `KINDS` it is."""
        return str(self.resource.desired.get("kind", PERSONAL))

    @property
    def kind_label(self) -> str:
        """The same, in words."""
        return KINDS[self.kind]

    @property
    def display_name(self) -> str:
        """Who or what it is."""
        return str(self.resource.desired.get("display_name", ""))

    @property
    def targets(self) -> list[str]:
        """Where a redirect leads."""
        return list(self.resource.desired.get("targets", []))

    @property
    def quota(self) -> int | None:
        """Its own bound, None when only the domain's holds."""
        value: int | None = self.resource.desired.get("quota")
        return value

    @property
    def used(self) -> int | None:
        """What it held at the last look, None when nobody knows."""
        value: int | None = (self.resource.observed or {}).get("used")
        return value

    @property
    def wanted_open(self) -> bool:
        """Whether it is meant to receive."""
        return bool(self.resource.desired.get("active", True))

    @property
    def known(self) -> bool:
        """Whether it was ever seen at the provider's."""
        return self.resource.observed_at is not None

    @property
    def state(self) -> tuple[str, str]:
        """The badge: its DSFR tone and its words. What was seen, never what is only wanted."""
        seen = self.resource.observed or {}
        if self.under_way is not None and self.under_way.status == Step.Status.BLOCKED:
            return "error", "Intervention nécessaire"
        if self.under_way is not None:
            return "info", "Changement en cours"
        if self.resource.unknown_since is not None or not self.known:
            return "warning", "Inconnu pour l’instant"
        if seen.get("absent"):
            return "error", "Absente"
        if self.removal_at is not None and self.kind != REDIRECT:
            return "warning", "Suppression prévue"
        return ("success", "Ouverte") if seen.get("active", True) else ("warning", "Fermée")


def boxes_of(deployment: Deployment, only: Resource | None = None) -> list[Box]:
    """Return the mailboxes that are not deleted, by address. Two queries."""
    resources = Resource.objects.filter(deployment=deployment, kind=Resource.Kind.MAILBOX, removed_at__isnull=True)
    if only is not None:
        resources = resources.filter(pk=only.pk)
    steps = Step.objects.filter(deployment=deployment, resource__kind=Resource.Kind.MAILBOX).exclude(
        status__in=Step.FINISHED
    )
    open_steps: dict[object, list[Step]] = {}
    for step in steps.order_by("plan", "position"):
        open_steps.setdefault(step.resource_id, []).append(step)
    return [_box(resource, open_steps.get(resource.pk, [])) for resource in resources.order_by("key")]


def _box(resource: Resource, steps: list[Step]) -> Box:
    under_way = next((step for step in steps if not _is_planned(step)), None)
    planned = next((step.due_at for step in steps if _is_planned(step)), None)
    return Box(resource, under_way, planned)


def _is_planned(step: Step) -> bool:
    """Whether the step only waits for its day."""
    return step.name in _REMOVAL and step.status == Step.Status.WAITING and not step.attempt


# --- What it is entitled to -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entitlement:
    """How many mailboxes (redirects are not counted) and how much mail and storage in bytes; None: no such thing."""

    mailboxes: int
    mail: int | None
    storage: int | None


def entitlement(deployment: Deployment) -> Entitlement:
    """Return what the approval gave, or the standard allocation when it is more, or what was granted since."""
    approved = deployment.steps.filter(plan=0, name=Name.MAILBOX, resource__kind=Resource.Kind.MAILBOX).count()
    granted = MoreRequest.objects.filter(
        deployment=deployment, what=MoreRequest.What.MAILBOXES, granted=True
    ).aggregate(most=Max("wanted"))["most"]
    spaces = Resource.objects.filter(deployment=deployment, kind__in=[Resource.Kind.MAIL_DOMAIN, Resource.Kind.STORAGE])
    quotas = {resource.kind: resource.desired.get("quota") for resource in spaces}
    return Entitlement(
        mailboxes=max(trade.read("allocation").mailboxes, approved, granted or 0),
        mail=quotas.get(Resource.Kind.MAIL_DOMAIN),
        storage=quotas.get(Resource.Kind.STORAGE),
    )


def counted(boxes: Sequence[Box]) -> int:
    """Return how many of them the allocation counts."""
    return sum(box.kind != REDIRECT for box in boxes)


# --- Names already taken ----------------------------------------------------------------------------------------------


def same_name(name: str) -> str:
    """Return what two display names share when a reader would take one for the other."""
    return " ".join(letters(name).split())


def quarantined(addresses: Collection[str]) -> dict[str, datetime]:
    """Return, of these addresses, those deleted too lately to be given again, and until when."""
    now = timezone.now()
    rows = Resource.objects.filter(
        kind=Resource.Kind.MAILBOX, key__in=list(addresses), removed_at__gt=now - QUARANTINE
    ).values_list("key", "removed_at")
    return {key: removed + QUARANTINE for key, removed in rows if removed is not None}


def plain(resource: Resource) -> dict[str, Any]:
    """Return a copy of what is wanted, to change it."""
    return dict(resource.desired)
