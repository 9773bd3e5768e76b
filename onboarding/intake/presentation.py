"""A dossier prepared for a reader: what its pages show, the requester's and the operators' alike."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, QueryDict

from onboarding.intake import contents, reasons, rules
from onboarding.intake.models import Dossier, Remark, RequestedService
from onboarding.intake.request_models import Claim
from onboarding.provisioning.models import Deployment
from suite.catalog.models import Service


def complete() -> QuerySet[Dossier]:
    """Return dossiers with all that their pages read, in four queries."""
    return (
        Dossier.objects.select_related(
            "organization__department", "organization__epci", "operator", "assignee", "author", "erasure"
        )
        .prefetch_related(
            "names", "mailboxes", Prefetch("requested_services", RequestedService.objects.select_related("service"))
        )
        .annotate(writers=rules.writers(), claimed=Exists(Claim.objects.filter(dossier=OuterRef("pk"))))
    )


def version_of(request: HttpRequest) -> int:
    """Return the version the page was shown at, 0 when the form does not say."""
    return version_in(request.POST)


def version_in(posted: QueryDict) -> int:
    """Return the version that a form carries, 0 when it does not say."""
    typed = posted.get("version", "")
    return int(typed) if typed.isdecimal() and len(typed) < 10 else 0  # noqa: PLR2004 - a column's size


def told(parts: Iterable[str], most: int = 6) -> str:
    """Write a list in one sentence, its end counted when it is long."""
    parts = list(dict.fromkeys(parts))
    more = len(parts) - most
    return " ; ".join(parts[:most]) + (f", et {more} autre{'s' if more > 1 else ''}" if more > 0 else "")


def shown(field: str, value: object) -> str:
    """Write a field's value for a reader who compares two versions."""
    if field == "services" and isinstance(value, list):
        return ", ".join(Service.objects.filter(pk__in=value).order_by("position").values_list("name", flat=True))
    if field in CHOICES and value:
        return str(dict(CHOICES[field]).get(str(value), value))
    return contents.plain(value)


def label_of(field: str) -> str:
    """Return the words of a form's field, those of its group when it has none of its own."""
    group = contents.GROUP_OF.get(field)
    return LABELS.get(field) or (reasons.FIELDS[group].label if group else "Déclarations")


LABELS = {
    "requester_given_name": "Prénom",
    "requester_family_name": "Nom",
    "requester_function": "Fonction",
    "requester_email": "Adresse électronique",
    "requester_phone": "Téléphone",
    "family": "Origine du nom",
    "name": "Nom souhaité",
    "alternative_1": "Premier nom de remplacement",
    "alternative_2": "Deuxième nom de remplacement",
    "alternative_3": "Troisième nom de remplacement",
    "accepts_alternatives": "Accepte un nom de remplacement",
    "justification": "Explication du nom",
    "dns_manager": "Qui gère ce nom",
    "mail_in_use": "Messagerie en place",
    "mail_provider": "Messagerie actuelle",
    "mail_switch_on": "Date de changement de messagerie",
    "storage_gb": "Stockage souhaité, en Go",
    "allocation_reason": "Motif de la dotation",
    "services": "Services souhaités",
    "privacy_contact_name": "Contact pour la protection des données",
    "privacy_contact_email": "Adresse du contact pour la protection des données",
    "technical_contact_name": "Contact technique",
    "technical_contact_email": "Adresse du contact technique",
    "declares_exact": "Exactitude certifiée",
    "declares_mandate": "Habilitation certifiée",
    "accepts_terms": "Conditions acceptées",
}
CHOICES: dict[str, list[tuple[str, Any]]] = {
    "requester_function": Dossier.Function.choices,
    "family": Dossier.Family.choices,
    "dns_manager": Dossier.DnsManager.choices,
}


def wish(dossier: Dossier) -> str:
    """Return the name asked first, "" when there is none."""
    return next((choice.fqdn for choice in dossier.names.all() if choice.rank == 0), "")


def points(remarks: Iterable[Remark], dossier: Dossier) -> list[dict[str, Any]]:
    """Return the corrections asked of a dossier, each with its words, the fields it opens, and the rows of a list.

    Fields and rows come with the id of their place in their page.
    """
    remarks = list(remarks)
    listed = list(dossier.mailboxes.all()) if any(remark.rows for remark in remarks) else []
    return [
        {
            "label": reasons.label(remark.reason),
            "text": remark.text,
            "touched": remark.touched,
            "answer": remark.answer,
            "fields": [(reasons.FIELDS[field], _anchor(field)) for field in remark.fields if field in reasons.FIELDS],
            "rows": [
                (contents.row_label(row), f"boite-{number}")
                for number, row in enumerate(listed, start=1)
                if str(row.pk) in remark.rows
            ],
        }
        for remark in remarks
    ]


def _anchor(group: str) -> str:
    first = reasons.COLUMNS[group][0]
    return "id_family_0" if first == "family" else f"id_{first}"


def summary(dossier: Dossier) -> list[tuple[int, str, list[tuple[str, str]]]]:
    """Return the dossier as (step, title, [(label, value)]) for a reader."""
    names = [choice.fqdn or choice.typed for choice in dossier.names.all()]
    existing = dossier.family == Dossier.Family.EXISTING
    lines: dict[int, list[tuple[str, str]]] = {
        1: [
            ("Collectivité", dossier.organization.name),
            ("Demandeur", f"{dossier.requester_given_name} {dossier.requester_family_name}".strip()),
            ("Fonction", dossier.get_requester_function_display() if dossier.requester_function else ""),
            ("Adresse électronique", dossier.requester_email),
            ("Téléphone", dossier.requester_phone),
        ],
        2: [
            ("Origine du nom", dossier.get_family_display() if dossier.family else ""),
            ("Nom souhaité", names[0] if names else ""),
            ("Noms de remplacement", ", ".join(names[1:]) or "Aucun"),
            ("Accepte un nom de remplacement", contents.plain(dossier.accepts_alternatives)),
            ("Explication", dossier.justification or "Aucune"),
        ],
        4: [
            ("Stockage", f"{dossier.storage_gb} Go" if dossier.storage_gb is not None else ""),
            ("Motif de la dotation", dossier.allocation_reason or "Sans objet"),
            ("Services", ", ".join(row.service.name for row in dossier.requested_services.all()) or "Aucun"),
            ("Protection des données", _contact(dossier.privacy_contact_name, dossier.privacy_contact_email)),
            ("Contact technique", _contact(dossier.technical_contact_name, dossier.technical_contact_email)),
        ],
    }
    if existing:
        lines[2] += [
            ("Qui gère ce nom", dossier.get_dns_manager_display() if dossier.dns_manager else ""),
            ("Messagerie en place", contents.plain(dossier.mail_in_use)),
            ("Chez", dossier.mail_provider or "Sans objet"),
            ("Date de changement", contents.plain(dossier.mail_switch_on) or "À convenir"),
        ]
    lines[3] = []
    return [(number, contents.TITLES[number], lines[number]) for number in (1, 2, 3, 4)]


def _contact(name: str, email: str) -> str:
    return ", ".join(part for part in (name, email) if part) or "Non indiqué"


def deployment_of(dossier: Dossier) -> Deployment | None:
    """Return what is being built for the dossier, with all that its progress shows."""
    return Deployment.objects.with_steps().get(pk=dossier.deployment_id) if dossier.deployment_id else None
