"""A dossier as its requester takes it away: plain data, for a machine.

The document is one JSON object. Dates are ISO 8601 with their zone; text is as typed; a box never filled is "" or null.

    format          "suite-territoriale/demande", and `version`, 1: a later version only adds keys
    reference       the number people quote ("D-2026-00042")
    status          code and label of where it stands
    url             its page
    created_at, changed_at, submitted_at, decided_at
    organization    name, code (INSEE for a commune, SIREN for an EPCI), siren, department
    operator        name and e-mail of who decides, null before it is sent
    requester       given_name, family_name, function, email, phone
    name            family, wished, alternatives (in order), accepts_alternatives, justification, and for a domain
                    already held dns_manager, mail_in_use, mail_provider, mail_switch_on
    mailboxes       in order: kind, given_name, family_name, function, local_part, recovery_email, administrator,
                    targets
    storage         asked_gb (decimal gigabytes), reason
    services        names
    contacts        privacy and technical, each name and email
    declarations    exact, mandate, terms, terms_version
    corrections     what is asked and not answered yet: reason, text, fields, answer
    claims          public facts said to be wrong: fact, shown, claimed, reason, at
    history         in order: at, label, who, reasons, comment; what operators keep for themselves is not there
"""

from typing import Any

from django.conf import settings
from django.urls import reverse

from onboarding.intake import contents, reasons
from onboarding.intake.history import history
from onboarding.intake.models import Dossier

FORMAT, VERSION = "suite-territoriale/demande", 1


def record(dossier: Dossier) -> dict[str, Any]:
    """Return the dossier as the module says. Three queries where `presentation.complete` fetched the rest."""
    organization, choices = dossier.organization, list(dossier.names.all())
    return {
        "format": FORMAT,
        "version": VERSION,
        "reference": dossier.reference,
        "status": {"code": dossier.status, "label": dossier.get_status_display()},
        "url": f"{settings.PUBLIC_BASE_URL}{reverse('intake:detail', args=[dossier.pk])}",
        "created_at": dossier.created_at,
        "changed_at": dossier.changed_at,
        "submitted_at": dossier.submitted_at,
        "decided_at": dossier.decided_at,
        "organization": {
            "name": organization.name,
            "code": organization.code,
            "siren": organization.siren,
            "department": organization.department_id,
        },
        "operator": {"name": dossier.operator.name, "email": dossier.operator.email} if dossier.operator else None,
        "requester": {
            name: getattr(dossier, f"requester_{name}")
            for name in ("given_name", "family_name", "function", "email", "phone")
        },
        "name": {
            "family": dossier.family,
            "wished": next((choice.fqdn or choice.typed for choice in choices if choice.rank == 0), ""),
            "alternatives": [choice.fqdn or choice.typed for choice in choices if choice.rank],
            **{
                name: getattr(dossier, name)
                for name in (
                    "accepts_alternatives", "justification", "dns_manager", "mail_in_use", "mail_provider",
                    "mail_switch_on",
                )
            },
        },
        "mailboxes": [
            {name: getattr(row, name) for name in contents.ROW_FIELDS} for row in dossier.mailboxes.all()
        ],
        "storage": {"asked_gb": dossier.storage_gb, "reason": dossier.allocation_reason},
        "services": [row.service.name for row in dossier.requested_services.all()],
        "contacts": {
            kind: {"name": getattr(dossier, f"{kind}_contact_name"), "email": getattr(dossier, f"{kind}_contact_email")}
            for kind in ("privacy", "technical")
        },
        "declarations": {
            "exact": dossier.declares_exact,
            "mandate": dossier.declares_mandate,
            "terms": dossier.accepts_terms,
            "terms_version": dossier.terms_version,
        },
        "corrections": [
            {
                "reason": reasons.label(remark.reason),
                "text": remark.text,
                "fields": list(remark.fields),
                "mailboxes": [contents.row_label(row) for row in dossier.mailboxes.all() if str(row.pk) in remark.rows],
                "answer": remark.answer,
            }
            for remark in contents.open_remarks(dossier)
        ],
        "claims": [
            {
                "fact": claim.fact,
                "shown": claim.shown,
                "claimed": claim.claimed,
                "reason": claim.reason,
                "at": claim.created_at,
            }
            for claim in dossier.claims.all()
        ],
        "history": [
            {"at": entry.at, "label": entry.label, "who": entry.who, "reasons": entry.reasons, "comment": entry.comment}
            for entry in history(dossier, for_staff=False)
        ],
    }  # fmt: skip
