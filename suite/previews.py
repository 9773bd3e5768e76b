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

from onboarding.agreements.models import Text
from onboarding.intake.models import Dossier
from onboarding.intake.personal_models import ErasureRequest
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.thread_models import Message
from onboarding.provisioning.models import Deployment
from onboarding.provisioning.move_models import Cutover, Renewal
from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.block_models import AccountBlock
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
    change = AdministratorChange(
        organization=commune, kind="recover", state="confirmed", person=person, replaced=colleague, asked_by=colleague,
        reason="Le gestionnaire est parti.", ending="L’opposition est fondée.", due_at=soon,
    )  # fmt: skip
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
        "address": "mairie@ile-essai.collectivite.fr",
        "link": f"{settings.PUBLIC_BASE_URL}/mises-en-service/premier-acces/?jeton=essai",
        "files": 0,
        "edited": False,
        "answers": False,
        "accepted": True,
        "why": "Cette demande est close (retirée)\u00a0: ses échanges restent lisibles.",
        "news": [("Une note vous nomme", url), ("La demande D-2026-00043 est retirée", url)],
        "fqdn": "ile-essai.collectivite.fr",
        "alternatives": [
            {"fqdn": "rives-essai.fr", "word": "Libre", "note": "Le registre le dit libre."},
            {"fqdn": "lile-essai.fr", "word": "Inconnu", "note": "Le registre ne répond pas."},
        ],
        "proposal": Proposal(
            dossier=dossier, proposer=colleague, reason="Vérifié.", created_at=timezone.now(), lapses_at=soon
        ),
        "proposer": colleague,
        "closes_at": soon,
        "change": change,
        "decision": AccountBlock(user=person, kind="block", reason="Vous avez quitté la mairie.", asked_by=colleague),
        "election": timezone.localdate(),
        "count": 2,
        "on": soon.date(),
        "due_on": soon.date(),
        "over": False,
        "texts": [
            Text(title="Convention d’essai", number=2, effective_on=soon.date(), changes="L’hébergeur."),
            Text(title="Clauses de sous-traitance", number=1, effective_on=soon.date()),
        ],
        "asked": AccessRequest(user=person, organization=commune, message="Je remplace la secrétaire."),
        "erased": ["account"],
        "admitted": True,
        "note": "L’ancien serveur refuse cet identifiant ou ce mot de passe.",
        "brought": 1234,
        "failed": 2,
        "external": True,
        "ours": True,
        "days": 30,
        "cutover": Cutover(deployment=deployment, at=soon, note="Le DNS ne répond pas."),
        "renewal": Renewal(deployment=deployment, expires_at=soon),
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


def _change(**facts: Any) -> AdministratorChange:  # noqa: ANN401 - columns
    known = samples()["change"]
    columns = ("organization", "person", "asked_by", "reason", "due_at", "kind", "state")
    return AdministratorChange(**{name: getattr(known, name) for name in columns} | facts)


def _erasure() -> ErasureRequest:
    now = timezone.now()
    return ErasureRequest(asked_at=now, due_on=timezone.localdate(), answer="Votre compte est effacé.")


# What one kind is told that differs from the pool, case by case.
CASES: dict[str, dict[str, Mapping[str, Any]]] = {
    "access_answered": {"accepted": {}, "refused": {"accepted": False}},
    "account_blocked": {
        "": {},
        "unblock": {"decision": AccountBlock(kind="unblock", reason="La personne est revenue.")},
    },
    "administrator_announced": {"": {}, "email": {"change": _change(kind="email", email="neuve@commune.example")}},
    "administrator_to_decide": {"": {}, "objected": {"change": _change(state="objected")}},
    "administrator_told": {
        state: {"change": _change(state=state, ending="L’opposition est fondée.")}
        for state in ("done", "objected", "cancelled")
    },
    "agreements_to_accept": {"": {}, "over": {"over": True}},
    "erasure_answered": {"": {"asked": _erasure()}, "nothing": {"asked": _erasure(), "erased": []}},
    "erasure_asked": {"": {"asked": _erasure()}},
    "name_answered": {"": {}, "refused": {"accepted": False}},
    "name_taken": {"": {}, "none": {"alternatives": []}},
    "name_taken_desk": {"": {}, "none": {"alternatives": []}},
    "dossier_join_answered": {"": {}, "refused": {"admitted": False, "url": ""}},
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
    "cutover_told": {
        what: {"what": what}
        for what in (
            "planned",
            "cancelled",
            "week",
            "ttl",
            "eve",
            "now",
            "postponed",
            "verified",
            "late",
            "unverified",
            "reverting",
            "reverted",
        )
    },
    "mail_import_done": {"": {}, "whole": {"failed": 0}},
    "renewal_due": {
        "": {},
        "failed": {"renewal": Renewal(automatic=True, expires_at=timezone.now(), note="Solde insuffisant.")},
        "external": {"ours": False},
        "over": {"over": True},
    },
    "welcome": {"": {}, "gaps": {"gaps": 2}, "first_login": {"first_login": True}},
    "blocked_steps": {"": {"count": 3, "since": timezone.now() - dt.timedelta(days=2)}},
    "drift": {"": {"lines": ["Boîte inconnue@ile-essai.collectivite.fr existe, et n’a pas été demandée."]}},
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
