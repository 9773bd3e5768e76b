"""Every message the site can send, rendered as it would be, with people and communes that do not exist.

A template finds what it names in one pool of samples: a new kind needs nothing here unless it names something new, or
says different things in different cases (`CASES`). Nothing is read from, or written to, the database.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from django.conf import settings
from django.template import Context, Engine
from django.utils import timezone

from onboarding.intake.models import Dossier
from onboarding.intake.thread_models import Message
from onboarding.provisioning.models import Deployment
from suite.accounts.mandate_models import MandateProof
from suite.accounts.models import AccessRequest, Invitation, Membership, OperatorRole, RelinkRequest, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.digests import Section
from suite.notices.workflow import surroundings

# What stands where a variable is missing: no sentence contains it.
MISSING = "⟦%s⟧"


class Preview(NamedTuple):
    """One message: its kind, the case it is shown in, and its three parts."""

    kind: str
    case: str
    subject: str
    text: str
    html: str


def samples() -> dict[str, Any]:
    """Return what a template may name, made anew."""
    commune = Organization(name="L’Île-d’Essai & Rives", code="Z0001", kind=Organization.Kind.COMMUNE)
    operator = Operator(name="Mégalis d’essai", name_with_article="le syndicat Mégalis d’essai", email="e@opsn.example")
    person = User(email="camille@commune.example", given_name="Camille", usual_name="N’Diaye-Ôtré")
    colleague = User(email="dominique@opsn.example", given_name="Dominique", usual_name="L’Hostis")
    dossier = Dossier(
        reference="D-2026-00042",
        organization=commune,
        operator=operator,
        author=person,
        assignee=colleague,
        status=Dossier.Status.IN_REVIEW,
        requester_email=person.email,
        decided_at=timezone.now(),
        submitted_at=timezone.now(),
    )
    deployment = Deployment(organization=commune, operator=operator, domain="ile-essai.collectivite.fr")
    soon = timezone.now() + dt.timedelta(days=7)
    words = "Le nom demandé convient.\n\nIl manque la délibération <du conseil>\u00a0: pouvez-vous la joindre\u00a0?"
    url = f"{settings.PUBLIC_BASE_URL}/demandes/{dossier.pk}/"
    return {
        "dossier": dossier,
        "organization": commune,
        "operator": operator,
        "person": person,
        "user": person,
        "deployment": deployment,
        "url": url,
        "objection_url": f"{settings.PUBLIC_BASE_URL}/habilitation/contester/essai/",
        "message": words,
        "reason": "Le document n’est pas signé.",
        "reasons": ["Habilitation non établie", "Aucun des noms demandés ne peut être attribué"],
        "points": [
            {
                "label": "La liste des boîtes est à corriger",
                "fields": ["Boîtes aux lettres"],
                "text": "Il manque l’accueil.",
            },
            {"label": "Autre point", "fields": ["Téléphone", "Fonction"], "text": ""},
        ],
        "domain": deployment.domain,
        "event": Event(stream="essai", kind="essai", request_id="0123456789ab"),
        "at": timezone.now(),
        "until": soon,
        "name": "secours-1",
        "what": "role",
        "by": colleague.get_full_name(),
        "inviter": colleague.get_full_name(),
        "role": Membership.Role.MANAGER.label,
        "reference": "0123456789ab",
        "code": "34AC 79EF",
        "minutes": 30,
        "asked": AccessRequest(user=person, organization=commune, message="Je remplace la secrétaire."),
        "membership": Membership(user=person, organization=commune),
        "place": OperatorRole(user=colleague, operator=operator),
        "proof": MandateProof(organization=commune, user=person, requested_by=person, route="document"),
        "invitation": Invitation(
            organization=commune, role="reader", email=person.email, invited_by=colleague, expires_at=soon
        ),
        "mailboxes": [
            {"address": "mairie@ile-essai.collectivite.fr", "display_name": "Mairie", "kind": "shared"},
            {"address": "camille@ile-essai.collectivite.fr", "display_name": "", "kind": "personal"},
        ],
        "quota": 10_000_000_000,
        "gaps": 0,
        "files": 0,
        "edited": False,
        "answers": False,
        "accepted": True,
        "why": "Cette demande est close (retirée)\u00a0: ses échanges restent lisibles.",
        "news": [("Une note vous nomme", url), ("La demande D-2026-00043 est retirée", url)],
        "sections": [Section("Demandes en retard", (("D-2026-00044, L’Île-d’Essai", url),))],
    }


def _written() -> dict[str, Any]:
    known = samples()
    message = Message(
        dossier=known["dossier"],
        kind=Message.Kind.MESSAGE,
        side=Message.Side.OPERATOR,
        author_label=known["person"].get_full_name(),
        body=known["message"],
        created_at=timezone.now(),
    )
    return {"message": message}


# What one kind is told that differs from the pool, case by case.
CASES: dict[str, dict[str, Mapping[str, Any]]] = {
    "access_answered": {"accepted": {}, "refused": {"accepted": False}},
    "break_glass": {"": {"what": "Un compte de secours a été ouvert."}},
    "digest": {"": {}, "late_only": {"news": []}, "news_only": {"sections": []}},
    "dossier_approved": {"": {}, "no_domain": {"domain": ""}},
    "membership_changed": {what: {"what": what} for what in ("role", "suspended", "resumed", "ended")},
    "operator_role_changed": {what: {"what": what} for what in ("changed", "suspended", "resumed")},
    "email_clash": {"": {"person": SimpleNamespace(email="camille@commune.example", siret="13002603200016")}},
    "relink_approved": {"": {"asked": RelinkRequest(siret="13002603200016")}},
    "thread_answer": {"": _written(), "edited": {**_written(), "edited": True, "files": 1}},
    "thread_mention": {"": _written()},
    "thread_message": {
        "": {**_written(), "answers": True},
        "edited": {**_written(), "edited": True, "files": 2},
    },
    "welcome": {"": {}, "gaps": {"gaps": 2}},
}


def kinds() -> list[str]:
    """Return every kind of message that has templates."""
    folder = Path(settings.BASE_DIR) / "templates" / "emails"
    return sorted(path.name.removesuffix(".subject.txt") for path in folder.glob("*.subject.txt"))


def previews() -> Iterator[Preview]:
    """Yield each kind of message, in each of its cases; what is missing shows as « ⟦name⟧ »."""
    default = Engine.get_default()
    engine = Engine(
        dirs=default.dirs, app_dirs=True, string_if_invalid=MISSING, builtins=["suite.templatetags.suite"]
    )  # fmt: skip
    for kind in kinds():
        for case, told in CASES.get(kind, {"": {}}).items():
            values = surroundings() | samples() | dict(told)

            def part(end: str, *, escape: bool, kind: str = kind, values: dict[str, Any] = values) -> str:
                return engine.get_template(f"emails/{kind}.{end}").render(Context(dict(values), autoescape=escape))

            subject = part("subject.txt", escape=False).strip()
            yield Preview(kind, case, subject, part("txt", escape=False), part("html", escape=True))
