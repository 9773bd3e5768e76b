"""What we keep about people: which fields, why, on which basis, for how long, and what happens then.

The one table: the public page is drawn from it, the jobs of `retention_jobs` read their delays and fields in it, and a
test refuses a text column that is neither here nor in `NOT_PERSONAL`.

A new table that belongs to a dossier (a message of the thread, an attachment) needs one line: its fields in
`DOSSIER_FIELDS`. They are then erased with the dossier, whichever job erases it.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from suite.accounts.mandate_desk_workflow import KEPT
from suite.accounts.tasks import SESSIONS_KEPT

NBSP = "\u00a0"
YEAR = dt.timedelta(days=365)
MONTH = dt.timedelta(days=30)


class Basis(StrEnum):
    """The ground of article 6 of the RGPD; the value is what the page shows."""

    MISSION = "Mission d’intérêt public (article 6.1.e)"
    CONTRACT = "Exécution de la convention (article 6.1.b)"
    LAW = "Obligation légale de répondre de nos décisions (article 6.1.c)"
    SECURITY = "Intérêt légitime, la sécurité du service (article 6.1.f)"


@dataclass(frozen=True)
class Category:
    """One line of the page. `period` None: what ends it is said in `since`. `by`: the jobs, or the beat's tasks."""

    code: str
    what: str
    why: str
    basis: Basis
    period: dt.timedelta | None
    since: str
    then: str
    fields: tuple[str, ...]
    by: tuple[str, ...]

    @property
    def kept(self) -> str:
        """How long, in words."""
        return f"{in_words(self.period)} {self.since}".strip() if self.period is not None else self.since


def in_words(period: dt.timedelta) -> str:
    """Write a delay as a reader counts: years, months, days."""
    days = period.days
    for size, one, many in ((365, "an", "ans"), (30, "mois", "mois"), (1, "jour", "jours")):
        if days >= size and (days % size <= days // size if size > 1 else True):
            count = days // size
            return f"{count}{NBSP}{many if count > 1 else one}"
    return "aussitôt"


# What hangs on a dossier, or is in it. Erased together: a column becomes empty, a row stays to be counted.
DOSSIER_FIELDS = (
    "intake.Dossier.requester_given_name",
    "intake.Dossier.requester_family_name",
    "intake.Dossier.requester_email",
    "intake.Dossier.requester_phone",
    "intake.Dossier.justification",
    "intake.Dossier.mail_provider",
    "intake.Dossier.allocation_reason",
    "intake.Dossier.privacy_contact_name",
    "intake.Dossier.privacy_contact_email",
    "intake.Dossier.technical_contact_name",
    "intake.Dossier.technical_contact_email",
    "intake.MailboxRequest.given_name",
    "intake.MailboxRequest.family_name",
    "intake.MailboxRequest.function",
    "intake.MailboxRequest.local_part",
    "intake.MailboxRequest.recovery_email",
    "intake.MailboxRequest.targets",
    "intake.Revision.values",
    "intake.Remark.text",
    "intake.Remark.answer",
)

# An abandoned draft: reminders, expiry at 60 days, and its content goes 30 days later.
DRAFT_WARNED = dt.timedelta(days=23)
DRAFT_NOTICE = dt.timedelta(days=7)

REGISTRY = (
    Category(
        "account",
        "Nom, adresse électronique, SIRET et identifiants transmis par ProConnect à chaque connexion",
        "Savoir qui agit, et pour quelle collectivité",
        Basis.MISSION,
        2 * YEAR,
        "après la dernière connexion, s’il ne reste aucun droit",
        "Le compte est anonymisé : il ne s’ouvre plus et ne nomme plus personne",
        (
            "accounts.User.email",
            "accounts.User.given_name",
            "accounts.User.usual_name",
            "accounts.Identity.issuer",
            "accounts.Identity.sub",
            "accounts.Identity.siret",
            "accounts.Identity.idp_id",
            "accounts.Identity.uid",
            "accounts.Identity.organization_label",
            "accounts.Identity.roles",
        ),
        ("accounts",),
    ),
    Category(
        "asked",
        "Invitations, demandes d’accès, connexions refusées à rapprocher d’un compte",
        "Donner un droit à la bonne personne",
        Basis.MISSION,
        YEAR,
        "après la réponse ou l’échéance",
        "L’adresse, le nom et les messages sont effacés",
        (
            "accounts.Invitation.email",
            "accounts.AccessRequest.message",
            "accounts.RelinkRequest.email",
            "accounts.RelinkRequest.given_name",
            "accounts.RelinkRequest.usual_name",
            "accounts.RelinkRequest.issuer",
            "accounts.RelinkRequest.sub",
            "accounts.RelinkRequest.siret",
            "accounts.RelinkRequest.idp_id",
            "accounts.RelinkRequest.uid",
            "accounts.RelinkRequest.organization_label",
            "accounts.RelinkRequest.roles",
            "accounts.OperatorRole.suspended_for",
        ),
        ("asked",),
    ),
    Category(
        "mandate_documents",
        "Document d’habilitation remis (arrêté, délibération, attestation)",
        "Vérifier qu’une personne agit pour sa collectivité",
        Basis.MISSION,
        KEPT,
        "après la décision",
        "L’original est effacé ; son empreinte est gardée",
        ("accounts.Document.stored_name",),
        ("suite.accounts.tasks.sweep_mandates",),
    ),
    Category(
        "mandate_codes",
        "Codes envoyés par courriel ou par courrier, sous forme d’empreinte ou scellés",
        "Prouver l’habilitation",
        Basis.SECURITY,
        None,
        "trente minutes par courriel, trente jours par courrier",
        "Le code est effacé quand il a servi, ou qu’il ne vaut plus",
        (
            "accounts.MandateProof.code_digest",
            "accounts.MandateProof.head_digest",
            "accounts.MandateProof.objection_digest",
            "accounts.Letter.sealed_code",
            "accounts.Letter.sealed_objection",
        ),
        ("suite.accounts.tasks.sweep_mandates",),
    ),
    Category(
        "mandates",
        "Preuves d’habilitation : adresse masquée, signataire du document, motifs, objections de la mairie",
        "Répondre de ce qui a été accepté au nom d’une collectivité",
        Basis.LAW,
        5 * YEAR,
        "après la fin de la preuve",
        "Les noms et les textes sont effacés ; la date et la voie restent",
        (
            "accounts.MandateProof.sent_to",
            "accounts.MandateProof.reason",
            "accounts.Document.signatory",
            "accounts.Letter.address_lines",
            "accounts.Objection.finding",
        ),
        ("mandates",),
    ),
    Category(
        "drafts",
        "Brouillons abandonnés : tout ce qui y a été saisi",
        "Permettre de reprendre une demande commencée",
        Basis.MISSION,
        3 * MONTH,
        "après la dernière modification (expiration à 60 jours, avertissement 7 jours avant l’effacement)",
        "Le contenu est effacé ; il reste qu’un brouillon a existé",
        DOSSIER_FIELDS,
        ("warnings", "drafts"),
    ),
    Category(
        "refused",
        "Demandes refusées, retirées, expirées ou annulées : demandeur, boîtes, messages, remarques",
        "Répondre à une contestation de la décision",
        Basis.LAW,
        2 * YEAR,
        "après la clôture",
        "Les noms, les adresses et les textes sont effacés ; les dates et les nombres restent",
        DOSSIER_FIELDS,
        ("refused",),
    ),
    Category(
        "accepted",
        "Demandes acceptées : demandeur, boîtes, messages, remarques",
        "Répondre de la décision et de la mise en service",
        Basis.LAW,
        5 * YEAR,
        "après la décision",
        "Les noms, les adresses et les textes sont effacés ; les dates et les nombres restent",
        DOSSIER_FIELDS,
        ("accepted",),
    ),
    Category(
        "services",
        "Services ouverts : titulaires des boîtes, adresses de secours, adresse de bienvenue",
        "Faire marcher les boîtes et en rendre l’accès",
        Basis.CONTRACT,
        YEAR,
        "après la fermeture du service",
        "Les noms et les adresses sont effacés",
        (
            "provisioning.Deployment.welcome_email",
            "provisioning.Resource.key",
            "provisioning.Resource.desired",
            "provisioning.Resource.observed",
            "provisioning.Step.note",
        ),
        ("services",),
    ),
    Category(
        "signatures",
        "Acceptations des conventions : nom et fonction de qui a signé, vérification de l’opérateur",
        "Prouver ce qui lie la collectivité et son opérateur",
        Basis.CONTRACT,
        5 * YEAR,
        "après l’acceptation, et pas avant la fermeture du service",
        "Le nom et la fonction sont effacés ; l’acceptation et l’empreinte du texte restent",
        (
            "agreements.Signatory.name",
            "agreements.Signatory.function",
            "agreements.Confirmation.check_text",
        ),
        ("signatures",),
    ),
    Category(
        "journal",
        "Journal : qui a fait quoi, et quand",
        "Répondre d’une décision, comprendre un incident",
        Basis.LAW,
        5 * YEAR,
        "",
        "Le nom et les commentaires sont effacés ; la chaîne des événements reste vérifiable",
        ("journal.EventText.actor_label", "journal.EventText.comment"),
        ("journal",),
    ),
    Category(
        "notices",
        "Messages envoyés : destinataire, texte et résultat de l’envoi",
        "Prouver qu’un avis est parti, le renvoyer s’il n’arrive pas",
        Basis.MISSION,
        YEAR,
        "",
        "Le destinataire et le texte sont effacés ; il reste qu’un message est parti",
        (
            "notices.Notice.recipient",
            "notices.Notice.subject",
            "notices.Notice.body_text",
            "notices.Notice.body_html",
            "notices.Notice.dedupe_key",
            "notices.Notice.error",
        ),
        ("notices",),
    ),
    Category(
        "sessions",
        "Sessions : appareil et dates, sans adresse IP complète",
        "Vous montrer où vous êtes connecté",
        Basis.SECURITY,
        SESSIONS_KEPT,
        "après leur ouverture",
        "La ligne est effacée",
        ("accounts.UserSession.device",),
        ("suite.accounts.tasks.forget",),
    ),
    Category(
        "cookies",
        "Contenu des sessions : ce que vous tapiez avant une confirmation d’identité",
        "Ne rien perdre de ce qui est en cours",
        Basis.MISSION,
        None,
        "au plus deux semaines après la dernière visite",
        "La session est effacée",
        ("sessions.Session.session_data", "sessions.Session.session_key"),
        ("sessions",),
    ),
    Category(
        "limits",
        "Nombre d’essais, sous une empreinte de qui essaie",
        "Empêcher les tentatives en série",
        Basis.SECURITY,
        None,
        "la fenêtre de comptage, un jour au plus",
        "Le compteur est effacé",
        ("accounts.Tally.digest",),
        ("suite.accounts.tasks.forget",),
    ),
    Category(
        "requests",
        "Demandes d’effacement de vos données, et notre réponse",
        "Prouver que nous avons répondu",
        Basis.LAW,
        YEAR,
        "après la réponse",
        "Votre message et notre réponse sont effacés ; la date reste",
        ("intake.ErasureRequest.message", "intake.ErasureRequest.answer"),
        ("requests",),
    ),
    Category(
        "break_glass",
        "Comptes de secours de l’équipe du site : nom de l’enveloppe, second facteur chiffré",
        "Entrer le jour où ProConnect ne répond pas",
        Basis.SECURITY,
        None,
        "tant que le compte de secours existe",
        "Le compte est supprimé par la commande qui l’a fait",
        (
            "accounts.BreakGlass.name",
            "accounts.BreakGlass.proof",
            "accounts.User.password",
            "account.EmailAddress.email",
            "account.EmailConfirmation.key",
            "mfa.Authenticator.data",
        ),
        (),
    ),
    Category(
        "directory",
        "Coordonnées publiques des mairies et des opérateurs",
        "Joindre la mairie par une adresse que personne n’a saisie ici",
        Basis.MISSION,
        None,
        "jusqu’à l’import suivant de l’annuaire public",
        "La ligne est remplacée par celle de l’annuaire",
        (
            "directory.DeclaredContact.emails",
            "directory.DeclaredContact.address_lines",
            "directory.Operator.email",
        ),
        (),
    ),
)

BY_CODE = {category.code: category for category in REGISTRY}

# Text columns that say nothing of a person, each with its reason. `app.Model.*`: all those of the model.
NOT_PERSONAL = {
    "accounts.MandateProof.case_reference": "the number of a dossier",
    "accounts.Membership.siret": "an establishment of a public body",
    "accounts.Invitation.digest": "of a random token",
    "accounts.Invitation.role": "a code",
    "accounts.RelinkRequest.reference": "of a page of refusal",
    "accounts.Document.sha256": "of a file",
    "accounts.Tally.scope": "a code",
    "agreements.Text.*": "contracts of public bodies, published",
    "agreements.PriceLine.*": "prices, published",
    "agreements.Acceptance.digest": "of a text",
    "agreements.Asked.*": "codes of what was asked of a collectivité",
    "analytics.*": "groups of communes and counts",
    "audits.*": "the public records of a domain",
    "catalog.*": "services and counts",
    "directory.*": "public data on collectivités, from the official geographic code",
    "intake.Dossier.reference": "a number",
    "intake.Dossier.terms_version": "a version",
    "intake.Dossier.verdict": "the population of a commune",
    "intake.NameChoice.*": "domain names of a commune",
    "intake.Remark.reason": "a code",
    "intake.Remark.fields": "codes",
    "journal.Event.*": "codes, hashes and pseudonymous identifiers: `record` takes no personal text in a payload",
    "notices.Notice.kind": "a code",
    "provisioning.Deployment.domain": "of a commune",
    "provisioning.Step.code": "a code",
    "sessions.Session.*": "a random key",
    "account.EmailConfirmation.*": "allauth's, unused: no account has an e-mail to confirm",
}
