"""What a SIRET gives, and takes back: pure, decided afresh at each sign-in (rulings, 2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from suite.accounts.models import Membership


class Effect(Enum):
    """What to do to a right."""

    GIVE = "given"
    SUSPEND = "suspended"
    RESUME = "resumed"


@dataclass(frozen=True)
class Held:
    """A right as it stands. `resumes_to` is the state the rule took it from, "" when no rule suspended it."""

    organization: UUID
    source: str
    state: str
    siret: str
    resumes_to: str = ""


@dataclass(frozen=True)
class Decision:
    """One change, and why in French."""

    organization: UUID
    effect: Effect
    reason: str


def evaluate(siret: str, match: UUID | None, held: Iterable[Held]) -> list[Decision]:
    """Decide what signing in with this SIRET changes.

    `match` is the current commune or communauté de communes of its SIREN; `held` every right the person has or had.
    A right given by a person is left alone, and an ended one is not given again: that was somebody's decision.
    """
    held = list(held)
    decisions = []
    for right in held:
        if right.source != Membership.Source.RULE:
            continue
        fits = right.siret[:9] == siret[:9]
        if not fits and right.state in {Membership.State.PENDING, Membership.State.ACTIVE}:
            reason = f"connexion avec un autre SIRET que {right.siret}"
            decisions.append(Decision(right.organization, Effect.SUSPEND, reason))
        elif fits and right.state == Membership.State.SUSPENDED and right.resumes_to:
            reason = f"connexion avec le SIRET {siret}"
            decisions.append(Decision(right.organization, Effect.RESUME, reason))
    if match is not None and match not in {right.organization for right in held}:
        decisions.append(Decision(match, Effect.GIVE, f"le SIRET {siret} est celui de la collectivité"))
    return decisions
