"""Which texts apply to a collectivité today, and where it stands with each of them."""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from onboarding.agreements.models import Acceptance, PriceLine, Text
from suite.accounts.mandates import Mandate
from suite.directory.lookup import covering
from suite.directory.models import Operator, Organization

KINDS = tuple(Text.Kind)


def route(organization: Organization) -> Operator | None:
    """Return who receives a request: the best of the operators that cover the organization, else the national one."""
    local = covering(organization)
    return local[0] if local else Operator.objects.filter(national=True).first()


def operator_of(organization: Organization) -> Operator | None:
    """Return with whom the organization contracts: the operator that serves it, else the one that would."""
    serving = organization.operators.order_by("national", "name").first()
    return serving or route(organization)


def in_force(operator: Operator | None, *, on: dt.date | None = None) -> list[Text]:
    """Return the texts that apply with an operator: its own, or the national model where it has none. Two queries."""
    rows = effective([operator] if operator else [], on=on)
    return chosen(rows.prefetch_related(Prefetch("prices", PriceLine.objects.order_by("position"))), operator)


def effective(operators: Iterable[Operator], *, on: dt.date | None = None) -> QuerySet[Text]:
    """Return the versions in force or past of these operators, and of the national model, oldest first."""
    own = Q(operator__in=[one.pk for one in operators if not one.national])
    published = Text.objects.published().filter(effective_on__lte=on or timezone.localdate())
    return published.filter(own | Q(operator__isnull=True)).order_by("effective_on", "number")


def chosen(rows: Iterable[Text], operator: Operator | None) -> list[Text]:
    """Return, among versions oldest first, the one of each kind that applies with the operator."""
    own = operator.pk if operator and not operator.national else None
    found: dict[str, Text] = {}
    for text in rows:
        if text.operator_id not in {None, own}:
            continue
        # An operator's own text stands before the national one, whatever their dates.
        known = found.get(text.kind)
        if known is None or text.operator_id is not None or known.operator_id is None:
            found[text.kind] = text
    return [found[kind] for kind in KINDS if kind in found]


def bundle(texts: Iterable[Text]) -> str:
    """Return a short name of these very texts, the same for the same texts: what a ticked box refers to."""
    texts = list(texts)
    if not texts:
        return ""
    latest = max(text.effective_on for text in texts if text.effective_on)
    said = hashlib.sha256("\n".join(sorted(text.digest for text in texts)).encode()).hexdigest()
    return f"{latest:%Y%m%d}-{said[:8]}"


@dataclass(frozen=True)
class Standing:
    """Where an organization stands with one text in force: its acceptance, or that of an earlier version."""

    text: Text
    acceptance: Acceptance | None
    earlier: Acceptance | None

    @property
    def due_on(self) -> dt.date:
        """The last day to accept, for those who had accepted an earlier version."""
        assert self.text.effective_on is not None  # noqa: S101 - a published text has its date
        return self.text.effective_on + dt.timedelta(days=self.text.grace_days)

    @property
    def to_confirm(self) -> bool:
        """Whether the acceptance waits for an operator's person, or for a better mandate."""
        return self.acceptance is not None and not is_firm(self.acceptance)

    @property
    def missing(self) -> bool:
        """Whether somebody of the organization must still accept."""
        return self.acceptance is None

    @property
    def overdue(self) -> bool:
        """Whether the time given is over."""
        return self.missing and timezone.localdate() > self.due_on


def is_firm(acceptance: Acceptance) -> bool:
    """Whether an acceptance binds: a convention needs M2, or M1 and an operator's written check (`requests.md`, 3)."""
    if acceptance.text.kind != Text.Kind.CONVENTION or acceptance.mandate >= Mandate.PROVED:
        return True
    return hasattr(acceptance, "confirmation")


def standings(organization: Organization, operator: Operator | None = None) -> list[Standing]:
    """Return the standing of each text in force, in order. Three queries, and two to find the operator."""
    texts = in_force(operator or operator_of(organization))
    accepted = list(
        Acceptance.objects.filter(organization=organization)
        .select_related("text", "signatory", "confirmation")
        .order_by("accepted_at")
    )
    found = []
    for text in texts:
        own = [one for one in accepted if one.text_id == text.pk]
        before = [one for one in accepted if one.text.kind == text.kind and one.text_id != text.pk]
        firm = [one for one in own if is_firm(one)]
        latest = (firm or own)[-1] if own else None
        found.append(Standing(text, latest, before[-1] if before else None))
    return found


def missing(organization: Organization, operator: Operator | None = None) -> list[Text]:
    """Return the texts in force that nobody of the organization has accepted yet: what the banner and `accept` show."""
    return [one.text for one in standings(organization, operator) if one.missing]


def never_accepted(organization: Organization, operator: Operator | None = None) -> list[Text]:
    """Return the texts of which the organization accepted no version at all: what holds an approval back.

    A version published while the dossier was being read does not: its time of grace runs after the approval.
    """
    return [one.text for one in standings(organization, operator) if one.missing and one.earlier is None]
