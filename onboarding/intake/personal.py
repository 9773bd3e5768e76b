"""What we hold about one person, gathered for that person: by its account, or by its address when it has none.

Only what is the person's own: in a dossier that several wrote, another's name, address or words are left out, and said
to be. An operator's lead gathers within its scope.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from onboarding.agreements.models import Acceptance
from onboarding.intake import personal_traces, retention
from onboarding.intake.models import Dossier, MailboxRequest, Revision
from onboarding.intake.personal_models import ErasureRequest
from suite.accounts.mandate_models import MandateProof
from suite.accounts.models import Invitation, RelinkRequest, User, UserSession
from suite.accounts.rights import OperatorScope, operator_scope
from suite.directory.models import Organization
from suite.journal.models import Event, EventText
from suite.notices.models import Notice

MOST_EVENTS = 5000
# Steps whose values are the requester's own words; the third lists other people.
OWN_STEPS = (2, 4, 5)
OTHERS = "Les informations d’autres personnes ne figurent pas ici."


@dataclass(frozen=True)
class Section:
    """One part of what we hold: its title, the line of the registry that governs it, and its rows."""

    title: str
    category: str
    rows: list[dict[str, str]]
    note: str = ""

    @property
    def kept(self) -> str:
        """For how long, as the public page says."""
        return retention.BY_CODE[self.category].kept

    @property
    def why(self) -> str:
        """What for."""
        return retention.BY_CODE[self.category].why


@dataclass(frozen=True)
class Reach:
    """Within what one gathers: everything for the person itself and a national lead, a scope for another."""

    dossiers: QuerySet[Dossier]
    organizations: QuerySet[Organization] | None = None

    @classmethod
    def everything(cls) -> "Reach":
        """Leave nothing out."""
        return cls(Dossier.objects.all())

    @classmethod
    def of(cls, lead: User) -> "Reach":
        """Return what an operator's lead may gather in."""
        scope = operator_scope(lead)
        if scope is not None and scope.national:
            return cls.everything()
        return cls(Dossier.objects.followed_by(lead), _organizations(scope))


def _organizations(scope: OperatorScope | None) -> QuerySet[Organization]:
    if scope is None:
        return Organization.objects.none()
    territory = list(scope.departments)
    here = Q(department__in=territory) | Q(departments__overlap=territory) | Q(operators__in=scope.operators)
    return Organization.objects.filter(here)


def of_user(user: User) -> list[Section]:
    """Return all that we hold about the holder of an account."""
    return [one for one in _sections(user, user.email, Reach.everything()) if one.rows]


def of_address(email: str, *, within: Reach) -> list[Section]:
    """Return what we hold under an address, for somebody without an account; the account's, where there is one."""
    accounts = list(User.objects.filter(email__iexact=email)) if within.organizations is None else []
    user = accounts[0] if len(accounts) == 1 else None
    return [one for one in _sections(user, email, within) if one.rows]


def as_dict(sections: Iterable[Section], *, email: str) -> dict[str, Any]:
    """Return the sections as plain values, for JSON."""
    return {
        "about": email,
        "gathered_at": timezone.now().isoformat(),
        "sections": [
            {"title": one.title, "why": one.why, "kept": one.kept, "note": one.note, "rows": one.rows}
            for one in sections
        ],
    }


def counts(sections: Iterable[Section]) -> dict[str, int]:
    """Return how many rows each section has: what the journal keeps of a gathering."""
    found: dict[str, int] = {}
    for one in sections:
        found[one.category] = found.get(one.category, 0) + len(one.rows)
    return found


def _sections(user: User | None, email: str, within: Reach) -> Iterator[Section]:
    if user is not None:
        yield from _account(user)
    yield from _rights(user, email, within)
    yield from _dossiers(user, email, within)
    if user is not None:
        for title, category, rows in personal_traces.around(user):
            yield Section(title, category, rows)
        yield _signatures(user)
        yield _events(user)
    yield _notices(email, within)


def _account(user: User) -> Iterator[Section]:
    rows = [{"Prénom": user.given_name, "Nom": user.usual_name, "Adresse": user.email, "Depuis": _at(user.created_at)}]
    yield Section("Votre compte", "account", rows)
    identities = [
        {
            "Fournisseur": one.issuer,
            "Identifiant": one.sub,
            "SIRET": one.siret,
            "Organisation": one.organization_label,
            "Rôles": ", ".join(one.roles),
            "Dernière connexion": _at(one.seen_at),
        }
        for one in user.identities.all()
    ]
    yield Section("Ce que ProConnect nous a transmis", "account", identities)
    sessions = [
        {"Appareil": one.device, "Ouverte": _at(one.started_at), "Vue": _at(one.seen_at)}
        for one in UserSession.objects.filter(user=user).order_by("started_at")
    ]
    yield Section("Vos sessions", "sessions", sessions)
    asked = [
        {"Demandé": _at(one.asked_at), "Votre message": one.message, "Réponse": one.answer}
        for one in ErasureRequest.objects.filter(user=user)
    ]
    yield Section("Vos demandes d’effacement", "requests", asked)


def _rights(user: User | None, email: str, within: Reach) -> Iterator[Section]:
    if user is not None:
        rows = [
            {
                "Collectivité": one.organization.name,
                "Rôle": one.get_role_display(),
                "État": one.get_state_display(),
                "Adresse de secours": one.recovery_email,
                "Depuis": _at(one.created_at),
            }
            for one in user.memberships.select_related("organization")
        ]
        rows += [
            {
                "Opérateur": one.operator.name,
                "Rôle": one.get_role_display(),
                "État": "actif" if one.active else "suspendu",
                "Depuis": _at(one.created_at),
            }
            for one in user.operator_roles.select_related("operator")
        ]
        yield Section("Vos droits", "account", rows)
        yield Section(
            "Vos demandes d’accès",
            "asked",
            [
                {"Collectivité": one.organization.name, "Message": one.message, "Le": _at(one.created_at)}
                for one in user.access_requests.select_related("organization")
            ],
        )
        proofs = MandateProof.objects.filter(user=user).select_related("organization")
        yield Section(
            "Vos preuves d’habilitation",
            "mandates",
            [
                {
                    "Collectivité": one.organization.name,
                    "Voie": one.get_route_display(),
                    "État": one.get_state_display(),
                    "Demandée": _at(one.created_at),
                    "Valable jusqu’au": _at(one.expires_at),
                }
                for one in proofs
            ],
        )
    invitations = Invitation.objects.filter(email__iexact=email).select_related("organization", "operator")
    relinks = RelinkRequest.objects.filter(email__iexact=email)
    if within.organizations is not None:
        invitations = invitations.filter(organization__in=within.organizations)
        relinks = relinks.none()
    yield Section(
        "Invitations reçues",
        "asked",
        [
            {"À": one.email, "Pour": one.place.name, "Rôle": one.role_label, "Le": _at(one.created_at)}
            for one in invitations
        ],
    )
    yield Section(
        "Connexions refusées",
        "asked",
        [
            {"Adresse": one.email, "Nom": f"{one.given_name} {one.usual_name}", "Le": _at(one.created_at)}
            for one in relinks
        ],
    )


def _dossiers(user: User | None, email: str, within: Reach) -> Iterator[Section]:
    own = Q(author=user) if user else Q(pk__in=[])
    contact = (
        Q(requester_email__iexact=email)
        | Q(privacy_contact_email__iexact=email)
        | Q(technical_contact_email__iexact=email)
    )
    named = Q(pk__in=MailboxRequest.objects.filter(recovery_email__iexact=email).values("dossier"))
    found = (
        Dossier.objects.filter(own | contact | named, pk__in=within.dossiers.values("pk"))
        .select_related("organization")
        .prefetch_related("mailboxes")
        .order_by("created_at")
    )
    yield Section("Demandes où vous figurez", "accepted", [_dossier(one, user, email) for one in found], OTHERS)
    mailboxes = [
        {
            "Demande": dossier.reference,
            "Boîte": row.local_part,
            "Nom": row.display_name,
            "Fonction": row.function,
            "Adresse de secours": row.recovery_email,
        }
        for dossier in found
        for row in dossier.mailboxes.all()
        if _same(row.recovery_email, email)
    ]
    yield Section("Boîtes demandées pour vous", "accepted", mailboxes)
    if user is None:
        return
    revisions = (
        Revision.objects.filter(author=user, step__in=OWN_STEPS).select_related("dossier").order_by("created_at")
    )
    yield Section(
        "Ce que vous avez saisi",
        "accepted",
        [
            {
                "Demande": one.dossier.reference,
                "Étape": str(one.step),
                "Le": _at(one.created_at),
                **_typed(one.values, email),
            }
            for one in revisions
        ],
        OTHERS,
    )


def _dossier(dossier: Dossier, user: User | None, email: str) -> dict[str, str]:
    row = {
        "Demande": dossier.reference,
        "Collectivité": dossier.organization.name,
        "État": dossier.get_status_display(),
        "Créée": _at(dossier.created_at),
        "À quel titre": ", ".join(_titles(dossier, user, email)),
    }
    if _same(dossier.requester_email, email):
        row |= {
            "Prénom": dossier.requester_given_name,
            "Nom": dossier.requester_family_name,
            "Fonction": dossier.get_requester_function_display(),
            "Adresse": dossier.requester_email,
            "Téléphone": dossier.requester_phone,
        }
    for prefix, label in (("privacy", "Protection des données"), ("technical", "Contact technique")):
        if _same(getattr(dossier, f"{prefix}_contact_email"), email):
            row[label] = f"{getattr(dossier, f'{prefix}_contact_name')}, {email}"
    return row


def _titles(dossier: Dossier, user: User | None, email: str) -> Iterator[str]:
    if user is not None and dossier.author_id == user.pk:
        yield "auteur"
    if _same(dossier.requester_email, email):
        yield "demandeur"
    if _same(dossier.privacy_contact_email, email):
        yield "contact pour la protection des données"
    if _same(dossier.technical_contact_email, email):
        yield "contact technique"
    if any(_same(row.recovery_email, email) for row in dossier.mailboxes.all()):
        yield "titulaire d’une boîte"


# What the journal's kinds mean to a reader; the others are shown by their code.
_WORDS = {
    "account.created": "Compte créé",
    "account.signed_in": "Connexion",
    "account.stepped_up": "Confirmation d’identité",
    "account.siret_changed": "Connexion avec un autre SIRET",
    "account.sessions_closed": "Sessions fermées",
    "membership.given": "Rattachement à une collectivité, par le SIRET",
    "membership.joined": "Entrée dans une équipe",
    "membership.ended": "Fin d’un droit",
    "invitation.sent": "Invitation envoyée",
    "invitation.accepted": "Invitation acceptée",
    "access_request.sent": "Demande d’accès",
    "agreement.accepted": "Texte accepté",
    "personal.exported": "Données téléchargées",
    "personal.erasure_asked": "Effacement demandé",
    "create": "Brouillon créé",
    "save": "Étape enregistrée",
    "submit": "Demande transmise",
    "resubmit": "Corrections transmises",
    "withdraw": "Demande retirée",
}

# What a step's values may name of somebody else: given only beside the person's own address.
_NAMING = {
    "privacy_contact_name": "privacy_contact_email",
    "privacy_contact_email": "privacy_contact_email",
    "technical_contact_name": "technical_contact_email",
    "technical_contact_email": "technical_contact_email",
}


def _typed(values: dict[str, Any], email: str) -> dict[str, str]:
    return {
        field: str(value)
        for field, value in values.items()
        if value not in ("", None, [], {})
        and (field not in _NAMING or _same(str(values.get(_NAMING[field], "")), email))
    }


def _signatures(user: User) -> Section:
    rows = Acceptance.objects.filter(user=user).select_related("text", "organization", "signatory")
    return Section(
        "Ce que vous avez signé",
        "signatures",
        [
            {
                "Texte": f"{one.text.title}, {one.text.version}",
                "Collectivité": one.organization.name,
                "Le": _at(one.accepted_at),
                "Fonction": one.signatory.function if hasattr(one, "signatory") else "",
                "Empreinte": one.digest,
            }
            for one in rows
        ],
    )


def _events(user: User) -> Section:
    events = Event.objects.filter(actor=user.pk).order_by("-recorded_at")[:MOST_EVENTS]
    texts = dict(EventText.objects.filter(event__in=[one.pk for one in events]).values_list("event", "comment"))
    return Section(
        "Ce que vous avez fait",
        "journal",
        [
            # The words are the person's own: it is the actor of the event.
            {"Le": _at(one.recorded_at), "Quoi": _WORDS.get(one.kind, one.kind), "Vos mots": texts.get(one.pk, "")}
            for one in events
        ],
    )


def _notices(email: str, within: Reach) -> Section:
    found = Notice.objects.filter(recipient__iexact=email).order_by("created_at")
    if within.organizations is not None:
        pks = within.dossiers.values("pk")
        found = found.filter(event__stream="dossier", event__subject__in=pks)
    return Section(
        "Messages qui vous ont été envoyés",
        "notices",
        [{"Le": _at(one.created_at), "Objet": one.subject, "État": one.get_state_display()} for one in found],
    )


def _same(one: str, other: str) -> bool:
    return bool(one) and one.strip().lower() == other.strip().lower()


def _at(moment: dt.datetime | None) -> str:
    return timezone.localtime(moment).strftime("%d/%m/%Y %H:%M") if moment else ""
