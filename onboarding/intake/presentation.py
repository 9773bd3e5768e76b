"""A dossier prepared for a reader: what its pages show, the requester's and the operators' alike."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from onboarding.intake import contents, reasons
from onboarding.intake.models import Dossier, Remark, RequestedService
from onboarding.provisioning.models import Deployment


def complete() -> QuerySet[Dossier]:
    """Return dossiers with all that their pages read, in four queries."""
    return Dossier.objects.select_related(
        "organization__department", "organization__epci", "operator", "assignee", "author"
    ).prefetch_related(
        "names", "mailboxes", Prefetch("requested_services", RequestedService.objects.select_related("service"))
    )


def version_of(request: HttpRequest) -> int:
    """Return the version the page was shown at, 0 when the form does not say."""
    typed = request.POST.get("version", "")
    return int(typed) if typed.isdecimal() and len(typed) < 10 else 0  # noqa: PLR2004 - a column's size


def conflict_of(stored: contents.Values, values: contents.Values) -> list[tuple[str, str, str]]:
    """Return (label, typed, stored) for each field that differs."""
    rows = []
    for field in contents.difference(stored, values):
        if field == "mailboxes":
            rows.append(("Boîtes aux lettres", _lines(values[field]), _lines(stored[field])))
        else:
            rows.append((_label(field), contents.plain(values[field]), contents.plain(stored.get(field))))
    return rows


def _lines(rows: list[contents.Values]) -> str:
    told = ("local_part", "given_name", "family_name", "function", "recovery_email", "targets")
    return "\n".join(", ".join(row[field] for field in told if row[field]) for row in rows)


def _label(field: str) -> str:
    group = contents.GROUP_OF.get(field)
    return LABELS.get(field) or (reasons.FIELDS[group].label if group else "Déclarations")


LABELS = {
    "name": "Nom souhaité",
    "requester_given_name": "Prénom",
    "requester_family_name": "Nom",
    "requester_function": "Fonction",
    "requester_email": "Adresse électronique",
    "requester_phone": "Téléphone",
    "storage_gb": "Stockage souhaité",
}


def wish(dossier: Dossier) -> str:
    """Return the name asked first, "" when there is none."""
    return next((choice.fqdn for choice in dossier.names.all() if choice.rank == 0), "")


def points(remarks: Iterable[Remark]) -> list[dict[str, Any]]:
    """Return the corrections asked, each with its words and the fields it opens."""
    return [
        {
            "label": reasons.label(remark.reason),
            "text": remark.text,
            "touched": remark.touched,
            "answer": remark.answer,
            "fields": [(reasons.FIELDS[field], _anchor(field)) for field in remark.fields if field in reasons.FIELDS],
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
