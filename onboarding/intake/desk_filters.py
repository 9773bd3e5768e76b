"""What the queue may be narrowed to and sorted by. All of it lives in the address; what is unknown there is ignored."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, F, Func, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from onboarding.intake.desk_models import CheckItem
from onboarding.intake.keyset import Order
from onboarding.intake.models import Dossier, NameChoice, Remark
from onboarding.intake.reasons import CHANGES, REJECTIONS
from onboarding.intake.request_models import Claim
from suite.accounts.mandates import open_objections
from suite.accounts.models import User
from suite.directory.folding import fold
from suite.directory.lookup import compact
from suite.directory.models import Name, Operator, Organization
from suite.journal.models import Event

STATUSES = dict(Dossier.Status.choices[1:])
ASSIGNMENTS = {"moi": "Les miennes", "personne": "Sans instructeur", "autres": "Celles de collègues"}
POPULATIONS = {
    "0-499": "Moins de 500",
    "500-1999": "De 500 à 1 999",
    "2000-3499": "De 2 000 à 3 499",
    "3500-": "3 500 et plus",
    "inconnue": "Inconnue",
}
MANDATES = {f"M{level}": f"M{level}" for level in range(4)}
DELAYS = {"retard": "En retard", "surveiller": "À surveiller", "delais": "Dans les délais", "pause": "En pause"}
SENSITIVITY = {"oui": "À décider à deux", "non": "Ordinaire"}
FLAGS = {
    "objection": "Objection de la mairie",
    "non-remis": "Message non remis",
    "ecart": "Vérification écartée",
    "proches": "Demandes proches",
    "faits": "Faits contestés",
}
# What an index of trigrams finds.
TRIGRAM = 3
FAMILIES = {str(code): str(label) for code, label in Dossier.Family.choices}

ORDERS = {
    order.key: order
    for order in (
        Order("echeance", "due_at", nullable=True),
        Order("-echeance", "due_at", descending=True, nullable=True),
        Order("depot", "submitted_at"),
        Order("-depot", "submitted_at", descending=True),
        Order("changement", "changed_at"),
        Order("-changement", "changed_at", descending=True),
        Order("nom", "organization__name"),
        Order("-nom", "organization__name", descending=True),
    )
}
ORDER_LABELS = {
    "echeance": "Échéance la plus proche",
    "-echeance": "Échéance la plus lointaine",
    "depot": "Plus anciennes",
    "-depot": "Plus récentes",
    "-changement": "Dernières modifiées",
    "changement": "Modifiées il y a longtemps",
    "nom": "Nom de la collectivité, de A à Z",
    "-nom": "Nom de la collectivité, de Z à A",
}


class Filters(NamedTuple):
    """The filters of an address that mean something, and the order asked."""

    kept: dict[str, str]
    order: Order

    @property
    def query(self) -> str:
        """The address's query without its page: filters, then the order when it is not the usual one."""
        return urlencode(self.kept | ({"tri": self.order.key} if self.order.key != "echeance" else {}))


class Filter(NamedTuple):
    """One filter: what it accepts (a normalised value, "" to ignore), and what it narrows to."""

    read: Callable[[str], str]
    narrow: Callable[[QuerySet[Dossier], str, User], QuerySet[Dossier]]


def read(typed: QueryDict) -> Filters:
    """Read an address; an unknown key, or a value that means nothing, is left aside."""
    kept = {name: value for name, one in FILTERS.items() if (value := one.read(typed.get(name, "")))}
    return Filters(kept, ORDERS.get(typed.get("tri", ""), ORDERS["echeance"]))


def apply(dossiers: QuerySet[Dossier], filters: Filters, user: User) -> QuerySet[Dossier]:
    """Narrow the dossiers; without a status, to those that wait for somebody."""
    if "statut" not in filters.kept:
        dossiers = dossiers.filter(status__in=Dossier.OPEN)
    for name, value in filters.kept.items():
        dossiers = FILTERS[name].narrow(dossiers, value, user)
    return dossiers


# --- Reading a value --------------------------------------------------------------------------------------------------


def reasons() -> dict[str, str]:
    """Return every reason a dossier may have been sent back or refused for, by its code in the address."""
    refused = {f"refus-{code}": label for code, label in REJECTIONS.items()}
    return {code: change.label for code, change in CHANGES.items()} | refused


def _among(choices: dict[str, str]) -> Callable[[str], str]:
    return lambda typed: typed if typed in choices else ""


def _code(typed: str) -> str:
    code = typed.strip().upper()
    return code if re.fullmatch(r"[0-9A-Z]{2,3}", code) and code.isascii() else ""


def _siren(typed: str) -> str:
    code = compact(typed)
    return code if re.fullmatch(r"[0-9]{9}", code) and code.isascii() else ""


def _uuid(typed: str) -> str:
    try:
        return str(UUID(typed))
    except ValueError:
        return ""


def _person(typed: str) -> str:
    return typed if typed in ASSIGNMENTS else _uuid(typed)


def _text(typed: str) -> str:
    return typed.replace("\x00", "").strip()[:100]


# --- Narrowing --------------------------------------------------------------------------------------------------------


def _assigned(dossiers: QuerySet[Dossier], value: str, user: User) -> QuerySet[Dossier]:
    match value:
        case "moi":
            return dossiers.filter(assignee=user)
        case "personne":
            return dossiers.filter(assignee__isnull=True)
        case "autres":
            return dossiers.filter(assignee__isnull=False).exclude(assignee=user)
        case _:
            return dossiers.filter(assignee=UUID(value))


def _where(dossiers: QuerySet[Dossier], here: Q) -> QuerySet[Dossier]:
    """Narrow by what the organization is: the list is made once, from its own indexes."""
    return dossiers.filter(organization__in=Organization.objects.filter(here).values("pk"))


def _department(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    return _where(dossiers, Q(department=value) | Q(departments__contains=[value]))


def _opsn(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    codes = Operator.objects.filter(pk=value).values(code=Func(F("departments"), function="unnest"))
    return _where(dossiers, Q(department__in=codes) | Q(departments__overlap=ArraySubquery(codes)))


def _population(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    if value == "inconnue":
        return _where(dossiers, Q(population__isnull=True))
    least, most = value.split("-")
    found = Q(population__gte=int(least))
    return _where(dossiers, found & Q(population__lte=int(most)) if most else found)


def _checked(code: str, **what: Any) -> Exists:  # noqa: ANN401 - columns
    return Exists(CheckItem.objects.filter(dossier=OuterRef("pk"), code=code, **what))


def _mandate(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    return dossiers.filter(_checked("mandate", value=value))


def _sensitivity(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    sensitive = _checked("four_eyes", value="oui")
    return dossiers.filter(sensitive if value == "oui" else ~sensitive)


def _reason(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    if value.startswith("refus-"):
        said = Event.objects.filter(
            stream="dossier",
            subject=OuterRef("pk"),
            kind="reject",
            payload__reasons__contains=[value.removeprefix("refus-")],
        )
        return dossiers.filter(Exists(said))
    return dossiers.filter(Exists(Remark.objects.filter(dossier=OuterRef("pk"), reason=value)))


def _delay(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    now = timezone.now()
    paused = Q(status=Dossier.Status.NEEDS_CHANGES)
    if value == "pause":
        return dossiers.filter(paused)
    running = dossiers.filter(~paused, status__in=Dossier.OPEN)
    if value == "retard":
        return running.filter(due_at__lt=now)
    ahead = running.filter(due_at__gte=now)
    watched = Q(watch_at__lt=now)
    return ahead.filter(watched) if value == "surveiller" else ahead.exclude(watched)


def _flag(dossiers: QuerySet[Dossier], value: str, _: User) -> QuerySet[Dossier]:
    if value == "objection":
        about = Q(case=OuterRef("pk")) | Q(user=OuterRef("author"))
        return dossiers.filter(Exists(open_objections().filter(about, organization=OuterRef("organization"))))
    if value == "non-remis":
        return dossiers.filter(_checked("reachable", result="ko"))
    if value == "ecart":
        return dossiers.filter(Exists(CheckItem.objects.filter(dossier=OuterRef("pk"), overridden_by__isnull=False)))
    if value == "faits":
        return dossiers.filter(Exists(Claim.objects.filter(dossier=OuterRef("pk"))))
    return dossiers.filter(_checked("holds", result="ko"))


def search(dossiers: QuerySet[Dossier], text: str, _: User) -> QuerySet[Dossier]:
    """Find by reference, name of the commune, INSEE, SIREN or SIRET, domain, requester."""
    digits = compact(text)
    if "@" in text:
        author = User.objects.filter(email__iexact=text).values("pk")
        return _either(dossiers, Q(requester_email__iexact=text), Q(author__in=author))
    if re.fullmatch(r"D-\d{4}-\d{5,}", text.upper()):
        return dossiers.filter(reference=text.upper())
    if digits.isdigit() and digits.isascii() and len(digits) in {9, 14}:
        return _where(dossiers, Q(siren=digits[:9]) | Q(kind__in=Organization.Kind.values, code=digits[:9]))
    # Two letters are in most names: they are looked for where these begin.
    short, folded = len(text) < TRIGRAM, fold(text)
    names = Name.objects.filter(**{f"folded__{'startswith' if short else 'contains'}": folded})
    wishes = NameChoice.objects.filter(**{f"fqdn__{'startswith' if short else 'contains'}": text.lower()})
    ways = [
        Q(reference=text.upper()),
        Q(organization__in=Organization.objects.filter(kind__in=Organization.Kind.values, code=digits).values("pk")),
        Q(**{f"requester_family_name__i{'startswith' if short else 'contains'}": text}),
        Q(pk__in=wishes.values("dossier")),
    ]
    return _either(dossiers, *ways, *([Q(organization__in=names.values("organization"))] if folded else []))


def _either(dossiers: QuerySet[Dossier], *ways: Q) -> QuerySet[Dossier]:
    """Narrow to what one of the ways finds: each reads its own index, where one « or » would read every row."""
    first, *others = (dossiers.filter(way).order_by().values("pk") for way in ways)
    return dossiers.filter(pk__in=first.union(*others))


FILTERS = {
    "statut": Filter(_among(STATUSES), lambda found, value, _: found.filter(status=value)),
    "attribution": Filter(_person, _assigned),
    "operateur": Filter(_uuid, lambda found, value, _: found.filter(operator=UUID(value))),
    "departement": Filter(_code, _department),
    "epci": Filter(_siren, lambda found, value, _: _where(found, Q(epci__code=value) | Q(code=value))),
    "opsn": Filter(_uuid, _opsn),
    "population": Filter(_among(POPULATIONS), _population),
    "famille": Filter(_among(FAMILIES), lambda found, value, _: found.filter(family=value)),
    "habilitation": Filter(_among(MANDATES), _mandate),
    "motif": Filter(lambda typed: typed if typed in reasons() else "", _reason),
    "sensible": Filter(_among(SENSITIVITY), _sensitivity),
    "delai": Filter(_among(DELAYS), _delay),
    "signal": Filter(_among(FLAGS), _flag),
    "q": Filter(_text, search),
}
