"""How well a person's right to act for a collectivité is proved, and what each act asks for (`requests.md`, 3)."""

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from suite.accounts import codes
from suite.accounts.mandate_models import MandateProof, Objection
from suite.accounts.models import Membership, User
from suite.directory.models import Organization

Route = MandateProof.Route
LIFE = dt.timedelta(days=365)
AFTER_AN_ELECTION = dt.timedelta(days=31)


class Mandate(IntEnum):
    """How well a person has proved that it acts for an organization."""

    NONE = 0  # M0: a declaration; lets one draft
    ATTACHED = 1  # M1: its SIRET, per its identity provider, or a code sent to the declared mailbox
    PROVED = 2  # M2: a code by post, a signed document, or a SIRET with an address at the commune's own domain
    DOUBLE = 3  # M3: two independent channels

    @property
    def code(self) -> str:
        """Its name in the texts: M0 to M3."""
        return f"M{self.value}"

    @property
    def label(self) -> str:
        """Its name for a reader."""
        return ("non établie", "rattachement établi", "établie", "établie par deux voies")[self.value]


class Act(StrEnum):
    """What a person does for its collectivité, or has an operator decide."""

    DRAFT = "draft"
    SUBMIT = "submit"
    APPROVE_SHARED = "approve_shared"  # a name of our own zone, with mailboxes
    APPROVE_NEW = "approve_new"  # a new .fr or regional name
    APPROVE_EXISTING = "approve_existing"  # a domain already held
    EXTEND = "extend"  # a mailbox or a service within the allocation, later
    CHANGE_ADMINISTRATOR = "change_administrator"
    EXPORT = "export"
    CLOSE = "close"


@dataclass(frozen=True)
class Requirement:
    """The level an act needs; `checked` is the lower one that is enough once an operator wrote what it verified."""

    level: Mandate
    what: str
    checked: Mandate | None = None
    # What the caller enforces besides the level.
    four_eyes: bool = False
    delay: dt.timedelta = dt.timedelta(0)


REQUIRED = {
    Act.DRAFT: Requirement(Mandate.NONE, "préparer une demande"),
    Act.SUBMIT: Requirement(Mandate.ATTACHED, "transmettre une demande"),
    Act.APPROVE_SHARED: Requirement(Mandate.PROVED, "accorder un nom gratuit", checked=Mandate.ATTACHED),
    Act.APPROVE_NEW: Requirement(Mandate.PROVED, "réserver un nouveau nom"),
    Act.APPROVE_EXISTING: Requirement(Mandate.PROVED, "reprendre un nom existant"),
    Act.EXTEND: Requirement(Mandate.ATTACHED, "ajouter une boîte ou un service"),
    Act.CHANGE_ADMINISTRATOR: Requirement(
        Mandate.DOUBLE, "changer d’administrateur", four_eyes=True, delay=dt.timedelta(hours=48)
    ),
    Act.EXPORT: Requirement(Mandate.PROVED, "télécharger une copie de toutes les données"),
    Act.CLOSE: Requirement(Mandate.DOUBLE, "fermer le service", four_eyes=True, delay=dt.timedelta(days=30)),
}

_REMEDY = {
    Mandate.ATTACHED: "se connecter avec le compte ProConnect de la collectivité, ou prouver l’habilitation par "
    "un code envoyé à l’adresse officielle de la mairie",
    Mandate.PROVED: "demander un code par courrier à la mairie, ou déposer un document signé du maire",
    Mandate.DOUBLE: "ajouter une seconde preuve, par une autre voie que la première",
}


def missing(act: Act, level: Mandate, *, checked: bool = False) -> str:
    """Return why the level does not allow the act, and the remedy, in French; "" when it does."""
    asked = REQUIRED[act]
    enough = asked.checked if checked and asked.checked is not None else asked.level
    if level >= enough:
        return ""
    return (
        f"L’habilitation est de niveau {level.code} ({level.label}), il faut {enough.code} pour {asked.what}\u00a0: "
        f"{_REMEDY[enough]}."
    )


@dataclass(frozen=True)
class Verdict:
    """Whether an act is allowed, and if not everything its page needs to leave nobody stuck."""

    act: Act
    level: Mandate
    sentence: str  # why not, and the remedy; "" when it is allowed
    routes: tuple[Route, ...]  # the routes that would raise the level to what is asked
    page: str  # where they are
    contact: str  # a person who answers

    @property
    def allowed(self) -> bool:
        """Whether the level is enough."""
        return not self.sentence

    @property
    def four_eyes(self) -> bool:
        """Whether a second person must confirm it; the caller sees to it."""
        return REQUIRED[self.act].four_eyes

    @property
    def delay(self) -> dt.timedelta:
        """How long it waits once confirmed; idem."""
        return REQUIRED[self.act].delay


def verdict(act: Act, user: User | AnonymousUser, organization: Organization, *, checked: bool = False) -> Verdict:
    """Say whether this person may do this for this organization, else why, and by which other routes. Two queries.

    The level only: whether its role allows it is `permissions`' business.
    """
    level = mandate(user, organization)
    sentence = missing(act, level, checked=checked)
    routes = _routes_to(REQUIRED[act].level, user, organization, level) if sentence else ()
    page = reverse("accounts:mandate_detail", args=[organization.code])
    return Verdict(act, level, sentence, routes, page, settings.CONTACT_EMAIL)


def _routes_to(
    needed: Mandate, user: User | AnonymousUser, organization: Organization, level: Mandate
) -> tuple[Route, ...]:
    """Return the routes that bring what is lacking: the strong ones, the weak one, or none while it is contested."""
    if not isinstance(user, User) or open_objections().filter(organization=organization, user=user).exists():
        return ()
    strong, weak = (Route.LETTER, Route.DOCUMENT), (Route.EMAIL,)
    if needed < Mandate.PROVED:
        return weak + strong
    has_strong = live().filter(organization=organization, user=user, route__in=strong).exists()
    if needed == Mandate.PROVED:
        return strong
    lacks_weak = level == Mandate.NONE or has_strong
    return (() if has_strong else strong) + (weak if lacks_weak else ())


def mandate(user: User | AnonymousUser, organization: Organization) -> Mandate:
    """Return how well the person's right to act for the organization is proved. One query."""
    if not isinstance(user, User):
        return Mandate.NONE
    held = Membership.objects.filter(
        user=user,
        organization=OuterRef("pk"),
        state__in=[Membership.State.PENDING, Membership.State.ACTIVE],
    )
    row = (
        Organization.objects.filter(pk=organization.pk)
        .values_list(
            Exists(held),
            Exists(held.filter(source=Membership.Source.RULE)),
            Exists(open_objections().filter(organization=OuterRef("pk"), user=user)),
            ArraySubquery(live().filter(organization=OuterRef("pk"), user=user).values("route")),
            "declared_contact__emails",
        )
        .first()
    )
    if row is None:
        return Mandate.NONE
    member, by_rule, objected, routes, emails = row
    if objected:
        return Mandate.NONE
    return level_of(routes, attached=member, own_domain=by_rule and is_own_domain(user.email, emails or []))


def mandate_of_case(case: uuid.UUID, organization: Organization) -> Mandate:
    """Return how well the collectivité itself stands behind a dossier that an operator prepared. Two queries."""
    if open_objections().filter(organization=organization, case=case).exists():
        return Mandate.NONE
    return level_of(live().filter(organization=organization, case=case).values_list("route", flat=True))


def level_of(routes: Collection[str], *, attached: bool = False, own_domain: bool = False) -> Mandate:
    """Return the level of a set of live proofs. Two strong proofs are one channel's worth: M3 needs a weak one too."""
    strong = Route.LETTER in routes or Route.DOCUMENT in routes
    weak = attached or Route.EMAIL in routes
    if strong:
        return Mandate.DOUBLE if weak else Mandate.PROVED
    if own_domain:
        return Mandate.PROVED
    return Mandate.ATTACHED if weak else Mandate.NONE


def is_own_domain(email: str, declared: Collection[str]) -> bool:
    """Whether the address is at a domain that the collectivité declares, and that is no public provider's."""
    domain = codes.domain_of(email)
    return bool(domain) and domain not in codes.FREE_MAIL and domain in {codes.domain_of(one) for one in declared}


def live(now: dt.datetime | None = None) -> QuerySet[MandateProof]:
    """Return the proofs that hold: established, not past their term, and made since the last election if tied to it."""
    now = now or timezone.now()
    proofs = MandateProof.objects.filter(state=MandateProof.State.PROVED, expires_at__gt=now)
    election = last_election(timezone.localdate(now))
    return proofs.exclude(elected=True, proved_at__date__lte=election) if election else proofs


def last_election(today: dt.date) -> dt.date | None:
    """Return the last municipal election whose month of grace is over."""
    days = [dt.date.fromisoformat(day) for day in settings.MUNICIPAL_ELECTIONS]
    return max((day for day in days if day + AFTER_AN_ELECTION <= today), default=None)


def open_objections() -> QuerySet[Objection]:
    """Return the objections that nobody has settled yet."""
    return Objection.objects.filter(closed_at__isnull=True)


def is_objected(organization: Organization, user: User | None, case: uuid.UUID) -> bool:
    """Whether the town hall objected to this person, or to this dossier, and nobody has settled it yet."""
    about = Q(case=case) | Q(user=user) if user else Q(case=case)
    return open_objections().filter(about, organization=organization).exists()
