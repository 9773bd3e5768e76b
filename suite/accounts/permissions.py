"""The one table of rights: who may do what, read by the views, the verbs, the documentation and the tests.

A person faces a thing in some roles (`site_roles`, `organization_roles`, or a trade's own reading of them). Out of
sight is 404, in sight without the right is 403, and a visitor is sent to sign in.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from suite.accounts.models import Membership, OperatorRole, User
from suite.accounts.rights import live_membership, operator_scope
from suite.directory.models import Operator, Organization


class Role(StrEnum):
    """In which quality a person faces a thing; the value is the heading of its column."""

    VISITOR = "Visiteur"
    STRANGER = "Agent sans lien"
    READER = "Lecteur"
    REQUESTER = "Demandeur"
    MANAGER = "Gestionnaire"
    STAFF_READER = "Opérateur, lecteur"
    INSTRUCTOR = "Opérateur, instructeur"
    LEAD = "Opérateur, responsable"
    AWAY_READER = "Lecteur, hors périmètre"
    AWAY_INSTRUCTOR = "Instructeur, hors périmètre"
    AWAY_LEAD = "Responsable, hors périmètre"
    SUPERADMIN = "Superadministrateur"


class Answer(StrEnum):
    """What the table says; the value is what the documentation shows."""

    YES = "●"
    SIGN_IN = "connexion"
    FORBIDDEN = "403"
    HIDDEN = "404"


EVERYBODY = frozenset(Role)
SIGNED_IN = EVERYBODY - {Role.VISITOR}
COMMUNE = frozenset({Role.READER, Role.REQUESTER, Role.MANAGER})
SPEAKING = COMMUNE - {Role.READER}
HOME = frozenset({Role.STAFF_READER, Role.INSTRUCTOR, Role.LEAD})
AWAY = frozenset({Role.AWAY_READER, Role.AWAY_INSTRUCTOR, Role.AWAY_LEAD})
INSTRUCTING = HOME - {Role.STAFF_READER}
ADMIN = frozenset({Role.SUPERADMIN})
STAFF = HOME | AWAY | ADMIN
AT_HOME = COMMUNE | HOME | ADMIN


@dataclass(frozen=True)
class Act:
    """One line of the table: who may, and who is told 403 because the thing is in its sight."""

    label: str
    may: frozenset[Role]
    sees: frozenset[Role] = frozenset()
    refusal: str = "Votre rôle ne donne pas ce droit."


_OPERATORS_ONLY = "Cette page est réservée aux équipes des opérateurs et de l’ANCT."
_READS_ONLY = "Votre rôle permet de lire les demandes, pas de les décider."

READ_PUBLIC = Act("Lire les pages publiques, se connecter, se déconnecter", EVERYBODY)
LOOK_BEHIND = Act(
    "Regarder par les fenêtres de l’administration technique",
    ADMIN,
    SIGNED_IN,
    "L’administration technique est réservée à l’équipe du site.",
)
CONFIRM_BREAK_GLASS = Act(
    "Donner de nouveau le code d’un compte de secours (dans une session ouverte par ce compte)",
    frozenset(),
    SIGNED_IN,
    "Cette page est celle des comptes de secours.",
)
MANAGE_OWN = Act("Voir ses demandes, ses équipes et ses sessions ; fermer ses sessions", SIGNED_IN)
ACCEPT_INVITATION = Act("Accepter l’invitation dont on tient le lien, envoyée à son adresse", SIGNED_IN)

DRAFT = Act(
    "Préparer une demande pour une collectivité",
    SIGNED_IN - {Role.READER, Role.SUPERADMIN},
    SIGNED_IN,
    "Votre rôle permet de lire les demandes de cette collectivité, pas d’en préparer.",
)
SEE_DOSSIER = Act("Suivre une demande de la collectivité", AT_HOME)
EDIT_DOSSIER = Act(
    "Remplir, transmettre, compléter, retirer une demande",
    SPEAKING,
    AT_HOME,
    "Seules les personnes de la collectivité qui la représentent remplissent et retirent sa demande.",
)
WRITE_MESSAGE = Act(
    "Écrire à l’opérateur au sujet d’une demande de la collectivité",
    SPEAKING,
    AT_HOME,
    "Seules les personnes qui représentent la collectivité écrivent ici en son nom.",
)
EDIT_MESSAGE = Act(
    "Modifier un message dans les quinze minutes (la personne qui l’a écrit)",
    frozenset(),
    AT_HOME,
    "Seule la personne qui a écrit ce message peut le modifier.",
)
TAKE_OUT = Act("Lire une pièce jointe d’un message", AT_HOME)
SEE_DESK = Act(
    "Voir les listes des opérateurs : demandes, blocages, groupe pilote, chiffres", STAFF, SIGNED_IN, _OPERATORS_ONLY
)
# Without an operator's role, the desk is a page of somebody else's trade: 403, whatever the dossier.
SEE_EVIDENCE = Act(
    "Lire une demande côté opérateur, avec ses vérifications",
    HOME | ADMIN,
    COMMUNE | {Role.STRANGER},
    _OPERATORS_ONLY,
)
INSTRUCT = Act(
    "Prendre, rendre, confier une demande ; demander des corrections",
    INSTRUCTING,
    COMMUNE | HOME | ADMIN | {Role.STRANGER},
    _READS_ONLY,
)
DECIDE = Act(
    "Accepter ou refuser une demande (celle qu’on instruit ; en second regard, responsable)",
    INSTRUCTING,
    COMMUNE | HOME | ADMIN | {Role.STRANGER},
    _READS_ONLY,
)
SECOND = Act(
    "Confirmer l’acceptation qu’un collègue propose ; rouvrir une demande ; annuler une acceptation, à deux",
    frozenset({Role.LEAD}),
    COMMUNE | HOME | ADMIN | {Role.STRANGER},
    "Cette action revient à une personne responsable chez l’opérateur.",
)
_INSTRUCTORS_ONLY = "Cette page est réservée aux opérateurs qui instruisent."
BULK = Act(
    "Agir sur plusieurs demandes à la fois, annoncer une absence",
    INSTRUCTING | {Role.AWAY_INSTRUCTOR, Role.AWAY_LEAD},
    SIGNED_IN,
    _INSTRUCTORS_ONLY,
)
SEE_LOAD = Act(
    "Voir la charge des équipes dont on est responsable",
    frozenset({Role.LEAD, Role.AWAY_LEAD, Role.SUPERADMIN}),
    SIGNED_IN,
    "Cette page est réservée aux responsables des opérateurs.",
)
SHARE_OUT = Act(
    "Répartir les demandes en attente dans l’équipe dont on est responsable",
    frozenset({Role.LEAD}),
    SIGNED_IN,
    "La répartition revient aux responsables de cet opérateur.",
)
RESUME_TOGETHER = Act(
    "Reprendre ensemble les étapes qu’une même cause bloque",
    INSTRUCTING | {Role.AWAY_INSTRUCTOR, Role.AWAY_LEAD},
    SIGNED_IN,
    _INSTRUCTORS_ONLY,
)
SEE_DEPLOYMENT = Act("Suivre une mise en service", AT_HOME)
OPERATE = Act(
    "Reprendre ou passer une étape bloquée",
    INSTRUCTING,
    AT_HOME,
    "Seul un instructeur de l’opérateur peut reprendre ou passer une étape.",
)
CHANGE_MAILBOXES = Act(
    "Ajouter une boîte dans la dotation, en changer l’adresse, le nom, le quota, la fermer, la rouvrir",
    frozenset({Role.MANAGER}) | INSTRUCTING,
    AT_HOME,
    "Seuls les gestionnaires de la collectivité, ou une personne qui instruit chez son opérateur, changent ses boîtes.",
)
DELETE_MAILBOX = Act(
    "Demander la suppression d’une boîte, y renoncer",
    frozenset({Role.MANAGER, Role.LEAD}),
    AT_HOME,
    "Seuls les gestionnaires de la collectivité, ou une personne responsable chez son opérateur, suppriment une boîte.",
)
ASK_MORE = Act(
    "Demander davantage de boîtes ou d’espace",
    frozenset({Role.MANAGER}),
    AT_HOME,
    "Seuls les gestionnaires de la collectivité demandent davantage à l’opérateur.",
)
SET_QUOTA = Act(
    "Répondre à une demande de dotation, changer l’espace de la messagerie ou du stockage",
    frozenset({Role.LEAD}),
    AT_HOME,
    "Seule une personne responsable chez l’opérateur change les dotations.",
)
SEE_EXPORTS = Act(
    "Voir les copies complètes du service, en demander une",
    frozenset({Role.MANAGER, Role.LEAD}),
    AT_HOME,
    "Seuls les gestionnaires de la collectivité, ou une personne responsable chez son opérateur, demandent une copie.",
)
TAKE_EXPORT = Act(
    "Télécharger une copie complète du service (avec une habilitation établie)",
    frozenset({Role.MANAGER}),
    AT_HOME,
    "Seuls les gestionnaires de la collectivité téléchargent la copie de ses données.",
)
CLOSE_SERVICE = Act(
    "Ouvrir la fermeture d’un service, demander une suppression, y renoncer",
    frozenset({Role.MANAGER, Role.LEAD}),
    AT_HOME,
    "Seuls les gestionnaires de la collectivité, ou une personne responsable chez son opérateur, ferment son service.",
)
CONFIRM_DELETION = Act(
    "Confirmer une suppression qu’on n’a pas demandée, renoncer à la copie",
    frozenset({Role.LEAD}),
    AT_HOME,
    "Seule une personne responsable chez l’opérateur confirme une suppression.",
)

BRING_MAIL = Act(
    "Faire apporter le courrier d’une ancienne boîte (gestionnaire, ou la personne qui tient la boîte)",
    frozenset({Role.MANAGER}),
    AT_HOME,
    "Seule la personne qui tient cette boîte, ou un gestionnaire de la collectivité, y fait apporter du courrier.",
)
CUT_OVER = Act(
    "Choisir la date de bascule de la messagerie d’un domaine, l’annuler, revenir en arrière",
    frozenset({Role.MANAGER}),
    AT_HOME,
    "Seul un gestionnaire de la collectivité décide de la bascule de sa messagerie.",
)
ENTER_MAILBOX = Act("Ouvrir le lien d’un premier accès à une boîte aux lettres", EVERYBODY)
SEND_ACCESS = Act(
    "Envoyer, imprimer ou annuler le premier accès à une boîte aux lettres",
    frozenset({Role.MANAGER}) | INSTRUCTING,
    AT_HOME,
    "Seuls les gestionnaires de la collectivité et les instructeurs de son opérateur envoient un accès.",
)

SEE_TEAM = Act("Voir l’équipe d’une collectivité", AT_HOME)
MANAGE_TEAM = Act(
    "Inviter, changer un rôle, suspendre, mettre fin à un droit (au plus son propre rôle)",
    frozenset({Role.MANAGER, Role.LEAD}),
    AT_HOME,
    "Seuls les gestionnaires de la collectivité, ou une personne responsable chez son opérateur, gèrent son équipe.",
)
ASK_ACCESS = Act("Demander à rejoindre l’équipe d’une collectivité", SIGNED_IN)
ANSWER_ACCESS = Act(
    "Répondre à qui demande à rejoindre l’équipe (au plus son propre rôle)",
    SPEAKING | INSTRUCTING,
    AT_HOME,
    "Votre rôle permet de voir cette équipe, pas d’y admettre quelqu’un.",
)

LIST_CHANGES = Act(
    "Voir les changements de gestionnaires à confirmer dans son périmètre", STAFF, SIGNED_IN, _OPERATORS_ONLY
)
SEE_CHANGE = Act(
    "Suivre un changement de gestionnaire",
    SPEAKING | HOME | ADMIN,
    AT_HOME,
    "Votre rôle ne donne pas accès aux changements de gestionnaires.",
)
ASK_CHANGE = Act(
    "Demander de nommer, de retirer ou de rétablir un gestionnaire, ou une autre adresse de secours ; y renoncer",
    frozenset({Role.MANAGER}) | INSTRUCTING,
    AT_HOME,
    "Seuls les gestionnaires de la collectivité, ou une personne qui instruit chez son opérateur, le demandent.",
)
REFUSE_CHANGE = Act(
    "Refuser un changement de gestionnaire demandé par quelqu’un d’autre",
    INSTRUCTING,
    AT_HOME,
    "Seules les personnes qui instruisent chez l’opérateur refusent un changement de gestionnaire.",
)
DECIDE_CHANGE = Act(
    "Confirmer un changement de gestionnaire qu’on n’a pas demandé ; trancher une objection",
    frozenset({Role.LEAD}),
    AT_HOME,
    "Seule une personne responsable chez l’opérateur confirme un changement de gestionnaire.",
)

_LEADS_ONLY = "Cette page est réservée aux responsables des opérateurs."
MANAGE_STAFF = Act(
    "Gérer l’équipe d’un opérateur : inviter, changer un rôle, suspendre, rétablir",
    frozenset({Role.LEAD, Role.SUPERADMIN}),
    COMMUNE | HOME | ADMIN | {Role.STRANGER, Role.AWAY_READER, Role.AWAY_INSTRUCTOR},
    _LEADS_ONLY,
)
# The list shows each lead the operators it leads: nobody who leads is away from it.
LIST_STAFF = Act(
    "Voir l’équipe des opérateurs dont on est responsable",
    frozenset({Role.LEAD, Role.AWAY_LEAD, Role.SUPERADMIN}),
    SIGNED_IN,
    _LEADS_ONLY,
)
LIST_RELINKS = Act(
    "Voir les rapprochements d’identité demandés dans son périmètre",
    STAFF - {Role.STAFF_READER, Role.AWAY_READER},
    SIGNED_IN,
    "Les rapprochements d’identité sont réservés aux instructeurs et aux responsables des opérateurs.",
)
SEE_RELINK = Act(
    "Lire une demande de rapprochement",
    INSTRUCTING | ADMIN,
    COMMUNE | HOME | {Role.STRANGER, Role.AWAY_READER},
    LIST_RELINKS.refusal,
)
DECIDE_RELINK = Act(
    "Approuver ou refuser un rapprochement (à deux pour un compte d’opérateur)",
    INSTRUCTING,
    COMMUNE | HOME | ADMIN | {Role.STRANGER, Role.AWAY_READER},
    "Votre rôle ne permet pas de décider d’un rapprochement d’identité.",
)

LIST_ACCOUNTS = Act(
    "Chercher un compte de son périmètre",
    frozenset({Role.LEAD, Role.AWAY_LEAD, Role.SUPERADMIN}),
    SIGNED_IN,
    _LEADS_ONLY,
)
BLOCK_ACCOUNT = Act(
    "Voir un compte ; proposer de le désactiver ou de le réactiver, confirmer la proposition d’un autre",
    frozenset({Role.LEAD, Role.SUPERADMIN}),
    COMMUNE | HOME | ADMIN | {Role.STRANGER, Role.AWAY_READER, Role.AWAY_INSTRUCTOR},
    _LEADS_ONLY,
)

PROVE = Act(
    "Prouver son habilitation : demander un code, le saisir, remettre un document, reprendre un dossier", SIGNED_IN
)
CONFIRM = Act("Confirmer ou contester, au nom de la mairie, par le code ou le lien qu’elle a reçu", EVERYBODY)
SEE_MANDATES = Act(
    "Voir les listes d’habilitations, de courriers et d’objections",
    STAFF,
    SIGNED_IN,
    _OPERATORS_ONLY,
)
SEE_MANDATE = Act("Lire une habilitation ou une objection", HOME | ADMIN, COMMUNE | {Role.STRANGER}, _OPERATORS_ONLY)
DECIDE_MANDATE = Act(
    "Accepter ou refuser une habilitation, lire son document, débloquer un envoi, trancher une objection",
    INSTRUCTING,
    COMMUNE | HOME | ADMIN | {Role.STRANGER},
    "Votre rôle permet de suivre les habilitations, pas de les décider.",
)
SEND_LETTERS = Act(
    "Imprimer et poster les courriers ; préparer une demande pour une commune",
    INSTRUCTING | {Role.AWAY_INSTRUCTOR, Role.AWAY_LEAD},
    SIGNED_IN,
    "Cette page est réservée aux opérateurs qui instruisent.",
)
STAND = Act(
    "Faire confirmer par la mairie une demande préparée pour elle (la personne qui l’a préparée)",
    frozenset(),
    AT_HOME,
    "Seule la personne qui a préparé cette demande s’occupe de sa confirmation.",
)

SEE_TRADE = Act("Lire les réglages du métier et leur histoire", STAFF, SIGNED_IN, _OPERATORS_ONLY)
EDIT_TRADE = Act(
    "Changer les réglages nationaux et les opérateurs (responsables de l’opérateur national)",
    frozenset({Role.LEAD, Role.SUPERADMIN}),
    SIGNED_IN,
    "Ces réglages valent pour tout le pays : seuls les responsables de l’opérateur national les changent.",
)
EDIT_OPERATOR = Act(
    "Changer la fiche d’un opérateur (son responsable : son contact)", EDIT_TRADE.may, SIGNED_IN, _LEADS_ONLY
)

SEE_AGREEMENTS = Act("Lire et télécharger ce que la collectivité a signé ; voir sa passation", AT_HOME)
ACCEPT_AGREEMENTS = Act(
    "Accepter les textes au nom de la collectivité ; mener sa passation",
    SPEAKING,
    AT_HOME,
    "Seules les personnes de la collectivité qui la représentent signent en son nom.",
)
CONFIRM_AGREEMENT = Act(
    "Confirmer une convention acceptée avec une habilitation faible",
    INSTRUCTING,
    AT_HOME,
    "Seul un instructeur de l’opérateur confirme une convention.",
)
WRITE_TEXTS = Act(
    "Rédiger et publier les textes d’un opérateur",
    frozenset({Role.LEAD}),
    COMMUNE | HOME | ADMIN | {Role.STRANGER, Role.AWAY_READER, Role.AWAY_INSTRUCTOR},
    _LEADS_ONLY,
)
LIST_TEXTS = Act(
    "Voir les textes des opérateurs dont on est responsable",
    frozenset({Role.LEAD, Role.AWAY_LEAD}),
    SIGNED_IN,
    _LEADS_ONLY,
)
EXPORT_PERSON = Act(
    "Réunir ce que nous gardons d’une personne qui le demande ; voir les demandes d’effacement",
    frozenset({Role.LEAD, Role.AWAY_LEAD}),
    SIGNED_IN,
    _LEADS_ONLY,
)
ERASE_PERSON = Act(
    "Répondre à une demande d’effacement", frozenset({Role.LEAD}), COMMUNE | HOME | ADMIN | {Role.STRANGER}, _LEADS_ONLY
)

ACTS = {name: act for name, act in vars().copy().items() if isinstance(act, Act)}


class Address(NamedTuple):
    """What reading and writing an address of the site are, as acts; None where the method does not exist (405)."""

    get: Act | None
    post: Act | None = None


ADDRESSES = {
    "legal": Address(READ_PUBLIC),
    "accessibility": Address(READ_PUBLIC),
    "privacy": Address(READ_PUBLIC),
    "healthz": Address(READ_PUBLIC),
    "readyz": Address(READ_PUBLIC),
    "eligibility:home": Address(READ_PUBLIC),
    "eligibility:organization": Address(READ_PUBLIC),
    "accounts:login": Address(READ_PUBLIC),
    "accounts:logged_out": Address(READ_PUBLIC),
    "oidc_authentication_init": Address(READ_PUBLIC),
    "oidc_authentication_callback": Address(READ_PUBLIC),
    "oidc_logout": Address(None, READ_PUBLIC),
    "account_login": Address(READ_PUBLIC, READ_PUBLIC),
    "account_logout": Address(READ_PUBLIC, READ_PUBLIC),
    "mfa_authenticate": Address(READ_PUBLIC, READ_PUBLIC),
    "account_reauthenticate": Address(CONFIRM_BREAK_GLASS, CONFIRM_BREAK_GLASS),
    "mfa_reauthenticate": Address(CONFIRM_BREAK_GLASS, CONFIRM_BREAK_GLASS),
    "accounts:admin_logout": Address(None, READ_PUBLIC),
    "accounts:admin_login": Address(LOOK_BEHIND),
    "accounts:admin_password": Address(LOOK_BEHIND),
    "admin:*": Address(LOOK_BEHIND),
    "accounts:sessions": Address(MANAGE_OWN),
    "accounts:close_session": Address(None, MANAGE_OWN),
    "accounts:close_others": Address(None, MANAGE_OWN),
    "accounts:teams": Address(MANAGE_OWN),
    "accounts:team": Address(SEE_TEAM),
    "accounts:invite": Address(MANAGE_TEAM, MANAGE_TEAM),
    "accounts:member": Address(MANAGE_TEAM, MANAGE_TEAM),
    "accounts:revoke_invitation": Address(None, MANAGE_TEAM),
    "accounts:join": Address(ASK_ACCESS, ASK_ACCESS),
    "accounts:answer": Address(ANSWER_ACCESS, ANSWER_ACCESS),
    "accounts:invitation": Address(ACCEPT_INVITATION, ACCEPT_INVITATION),
    "accounts:staff": Address(LIST_STAFF),
    "accounts:invite_staff": Address(MANAGE_STAFF, MANAGE_STAFF),
    "accounts:colleague": Address(MANAGE_STAFF, MANAGE_STAFF),
    "accounts:revoke_staff_invitation": Address(None, MANAGE_STAFF),
    "accounts:relinks": Address(LIST_RELINKS),
    "accounts:relink": Address(SEE_RELINK, DECIDE_RELINK),
    "accounts:administrators": Address(LIST_CHANGES),
    "accounts:administrator_ask": Address(ASK_CHANGE, ASK_CHANGE),
    "accounts:administrator": Address(SEE_CHANGE),
    "accounts:administrator_cancel": Address(None, ASK_CHANGE),
    "accounts:administrator_refuse": Address(None, REFUSE_CHANGE),
    "accounts:administrator_confirm": Address(None, DECIDE_CHANGE),
    "accounts:administrator_settle": Address(None, DECIDE_CHANGE),
    "accounts:administrator_object": Address(CONFIRM, CONFIRM),
    "accounts:people": Address(LIST_ACCOUNTS),
    "accounts:account": Address(BLOCK_ACCOUNT),
    "accounts:propose": Address(None, BLOCK_ACCOUNT),
    "accounts:decide": Address(None, BLOCK_ACCOUNT),
    "accounts:mandate_detail": Address(PROVE),
    "accounts:mandate_ask_email": Address(None, PROVE),
    "accounts:mandate_ask_letter": Address(None, PROVE),
    "accounts:mandate_hand_in": Address(None, PROVE),
    "accounts:mandate_enter": Address(None, PROVE),
    "accounts:mandate_confirm": Address(CONFIRM, CONFIRM),
    "accounts:mandate_object": Address(CONFIRM, CONFIRM),
    "accounts:mandate_queue": Address(SEE_MANDATES),
    "accounts:mandate_mail": Address(SEE_MANDATES, SEND_LETTERS),
    "accounts:mandate_objections": Address(SEE_MANDATES),
    "accounts:mandate_objection": Address(SEE_MANDATE, DECIDE_MANDATE),
    "accounts:mandate_proof": Address(SEE_MANDATE),
    "accounts:mandate_let_go": Address(None, DECIDE_MANDATE),
    "accounts:mandate_accept": Address(None, DECIDE_MANDATE),
    "accounts:mandate_refuse": Address(None, DECIDE_MANDATE),
    "accounts:mandate_document": Address(None, DECIDE_MANDATE),
    "intake:list": Address(MANAGE_OWN),
    "intake:take_over": Address(PROVE, PROVE),
    "intake:stand": Address(STAND, STAND),
    "desk:prepare": Address(SEND_LETTERS, SEND_LETTERS),
    "intake:new": Address(MANAGE_OWN, DRAFT),
    "intake:detail": Address(SEE_DOSSIER),
    "intake:step": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:name_status": Address(SEE_DOSSIER),
    "intake:name_proof": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:name_answer": Address(None, EDIT_DOSSIER),
    "intake:withdraw": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:report": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:paper": Address(SEE_DOSSIER),
    "intake:data": Address(SEE_DOSSIER),
    "intake:template": Address(EDIT_DOSSIER),
    "intake:upload": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:preview": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:authors": Address(EDIT_DOSSIER),
    "intake:invite": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:answer_join": Address(EDIT_DOSSIER, EDIT_DOSSIER),
    "intake:remove_author": Address(None, EDIT_DOSSIER),
    "intake:invitation": Address(ACCEPT_INVITATION, ACCEPT_INVITATION),
    "intake:ask_to_join": Address(ASK_ACCESS, ASK_ACCESS),
    "intake:rhythm": Address(MANAGE_OWN, MANAGE_OWN),
    "intake:thread": Address(SEE_DOSSIER, WRITE_MESSAGE),
    "intake:read_thread": Address(None, SEE_DOSSIER),
    "intake:edit_message": Address(EDIT_MESSAGE, EDIT_MESSAGE),
    "intake:attachment": Address(None, TAKE_OUT),
    "desk:thread": Address(SEE_EVIDENCE),
    "desk:write": Address(None, INSTRUCT),
    "desk:note": Address(None, INSTRUCT),
    "desk:queue": Address(SEE_DESK),
    "desk:export": Address(None, SEE_DESK),
    "desk:save_view": Address(None, SEE_DESK),
    "desk:delete_view": Address(None, SEE_DESK),
    "desk:default_view": Address(None, SEE_DESK),
    "desk:load": Address(SEE_LOAD),
    "desk:share_out": Address(None, SHARE_OUT),
    "desk:absence": Address(BULK, BULK),
    "desk:cancel_absence": Address(None, BULK),
    "desk:bulk": Address(None, BULK),
    "desk:bulk_act": Address(BULK, BULK),
    "desk:bulk_export": Address(None, BULK),
    "desk:mark_read": Address(None, SEE_EVIDENCE),
    "desk:refresh_checks": Address(None, SEE_EVIDENCE),
    "desk:override": Address(None, INSTRUCT),
    "desk:near": Address(SEE_EVIDENCE),
    "desk:compare": Address(SEE_EVIDENCE),
    "desk:duplicate": Address(DECIDE, DECIDE),
    "desk:save_draft": Address(None, INSTRUCT),
    "desk:detail": Address(SEE_EVIDENCE),
    "desk:take": Address(None, INSTRUCT),
    "desk:release": Address(None, INSTRUCT),
    "desk:assign": Address(INSTRUCT, INSTRUCT),
    "desk:request_changes": Address(INSTRUCT, INSTRUCT),
    "desk:check_names": Address(None, INSTRUCT),
    "desk:ask_name": Address(None, DECIDE),
    "desk:approve": Address(DECIDE, DECIDE),
    "desk:reject": Address(DECIDE, DECIDE),
    "trade:index": Address(SEE_TRADE),
    "trade:detail": Address(SEE_TRADE),
    "trade:edit": Address(EDIT_TRADE, EDIT_TRADE),
    "trade:version": Address(SEE_TRADE, EDIT_TRADE),
    "trade:operators": Address(SEE_TRADE),
    "trade:operator": Address(EDIT_OPERATOR, EDIT_OPERATOR),
    "trade:operator_version": Address(SEE_TRADE, EDIT_TRADE),
    "trade:add_operator": Address(EDIT_TRADE, EDIT_TRADE),
    "desk:propose": Address(DECIDE, DECIDE),
    "desk:confirm": Address(SECOND, SECOND),
    "desk:reopen": Address(SECOND, SECOND),
    "desk:propose_revocation": Address(SECOND, SECOND),
    "desk:revoke": Address(SECOND, SECOND),
    "intake:personal": Address(MANAGE_OWN, MANAGE_OWN),
    "intake:erasure": Address(MANAGE_OWN, MANAGE_OWN),
    "desk:person": Address(EXPORT_PERSON, EXPORT_PERSON),
    "desk:erasures": Address(EXPORT_PERSON),
    "desk:erase": Address(ERASE_PERSON, ERASE_PERSON),
    "agreements:prices": Address(READ_PUBLIC),
    "agreements:text": Address(READ_PUBLIC),
    "agreements:text_pdf": Address(READ_PUBLIC),
    "agreements:list": Address(MANAGE_OWN),
    "agreements:organization": Address(SEE_AGREEMENTS),
    "agreements:accept": Address(ACCEPT_AGREEMENTS, ACCEPT_AGREEMENTS),
    "agreements:acceptance_pdf": Address(SEE_AGREEMENTS),
    "agreements:handover": Address(SEE_AGREEMENTS, ACCEPT_AGREEMENTS),
    "agreements:follow": Address(SEE_DESK),
    "agreements:confirm": Address(CONFIRM_AGREEMENT, CONFIRM_AGREEMENT),
    "agreements:handovers": Address(SEE_DESK),
    "agreements:operators": Address(LIST_TEXTS),
    "agreements:texts": Address(WRITE_TEXTS),
    "agreements:draft": Address(None, WRITE_TEXTS),
    "agreements:edit": Address(WRITE_TEXTS, WRITE_TEXTS),
    "agreements:publish": Address(WRITE_TEXTS, WRITE_TEXTS),
    "agreements:discard": Address(None, WRITE_TEXTS),
    "provisioning:blocked": Address(SEE_DESK),
    "provisioning:detail": Address(SEE_DEPLOYMENT),
    "provisioning:progress": Address(SEE_DEPLOYMENT),
    "provisioning:retry": Address(None, OPERATE),
    "provisioning:skip": Address(OPERATE, OPERATE),
    "provisioning:cause": Address(SEE_DESK, RESUME_TOGETHER),
    "provisioning:done": Address(OPERATE, OPERATE),
    "provisioning:abandon": Address(OPERATE, OPERATE),
    "provisioning:mailboxes": Address(SEE_DEPLOYMENT),
    "provisioning:add_mailboxes": Address(CHANGE_MAILBOXES, CHANGE_MAILBOXES),
    "provisioning:mailbox": Address(SEE_DEPLOYMENT),
    "provisioning:change_mailbox": Address(CHANGE_MAILBOXES, CHANGE_MAILBOXES),
    "provisioning:remove_mailbox": Address(DELETE_MAILBOX, DELETE_MAILBOX),
    "provisioning:keep_mailbox": Address(None, DELETE_MAILBOX),
    "provisioning:quotas": Address(SEE_DEPLOYMENT),
    "provisioning:ask_more": Address(ASK_MORE, ASK_MORE),
    "provisioning:answer_more": Address(SET_QUOTA, SET_QUOTA),
    "provisioning:set_quota": Address(SET_QUOTA, SET_QUOTA),
    "provisioning:exports": Address(SEE_EXPORTS, SEE_EXPORTS),
    "provisioning:download_export": Address(None, TAKE_EXPORT),
    "provisioning:closure": Address(SEE_DEPLOYMENT),
    "provisioning:open_closure": Address(CLOSE_SERVICE, CLOSE_SERVICE),
    "provisioning:preview_deletions": Address(CLOSE_SERVICE),
    "provisioning:propose_deletions": Address(None, CLOSE_SERVICE),
    "provisioning:take_back_deletions": Address(None, CLOSE_SERVICE),
    "provisioning:confirm_deletions": Address(None, CONFIRM_DELETION),
    "provisioning:waive_copy": Address(CONFIRM_DELETION, CONFIRM_DELETION),
    "provisioning:imports": Address(SEE_DEPLOYMENT),
    "provisioning:start_import": Address(BRING_MAIL, BRING_MAIL),
    "provisioning:import_detail": Address(SEE_DEPLOYMENT),
    "provisioning:import_act": Address(None, BRING_MAIL),
    "provisioning:cutover": Address(SEE_DEPLOYMENT),
    "provisioning:begin_cutover": Address(None, CUT_OVER),
    "provisioning:plan_cutover": Address(CUT_OVER, CUT_OVER),
    "provisioning:cutover_act": Address(None, CUT_OVER),
    "provisioning:renewal": Address(SEE_DEPLOYMENT, OPERATE),
    "provisioning:first": Address(ENTER_MAILBOX, ENTER_MAILBOX),
    "provisioning:ready": Address(ENTER_MAILBOX, ENTER_MAILBOX),
    "provisioning:accesses": Address(SEE_DEPLOYMENT),
    "provisioning:send_access": Address(None, SEND_ACCESS),
    "provisioning:print_access": Address(None, SEND_ACCESS),
    "provisioning:revoke_access": Address(None, SEND_ACCESS),
    "analytics:pilot": Address(SEE_DESK),
    "analytics:pilot_csv": Address(SEE_DESK),
    "analytics:activity": Address(SEE_DESK),
    "analytics:activity_csv": Address(SEE_DESK),
    "analytics:public": Address(READ_PUBLIC),
}


def answer(act: Act, held: Collection[Role]) -> Answer:
    """Return what the table says to somebody who holds these roles."""
    if act.may.intersection(held):
        return Answer.YES
    if Role.VISITOR in held:
        return Answer.SIGN_IN
    return Answer.FORBIDDEN if act.sees.intersection(held) else Answer.HIDDEN


def allows(act: Act, held: Collection[Role]) -> bool:
    """Whether somebody who holds these roles may."""
    return answer(act, held) is Answer.YES


def check(act: Act, held: Collection[Role]) -> None:
    """Let pass who may; raise Http404 for what is out of sight, PermissionDenied with a sentence otherwise."""
    said = answer(act, held)
    if said is Answer.HIDDEN:
        raise Http404
    if said is not Answer.YES:
        raise PermissionDenied(act.refusal)


# --- The roles of a person --------------------------------------------------------------------------------------------

_OF_MEMBERSHIP = {
    Membership.Role.READER: Role.READER,
    Membership.Role.REQUESTER: Role.REQUESTER,
    Membership.Role.MANAGER: Role.MANAGER,
}
_OF_STAFF = {
    OperatorRole.Role.READER: (Role.STAFF_READER, Role.AWAY_READER),
    OperatorRole.Role.INSTRUCTOR: (Role.INSTRUCTOR, Role.AWAY_INSTRUCTOR),
    OperatorRole.Role.LEAD: (Role.LEAD, Role.AWAY_LEAD),
}


def commune_role(role: str) -> Role:
    """Return the column of a Membership.Role."""
    return _OF_MEMBERSHIP[Membership.Role(role)]


def staff_roles(
    user: User | AnonymousUser, operators: Collection[UUID | None], departments: Collection[str] = ()
) -> frozenset[Role]:
    """Return the roles at operators: at home where one of `operators` or of `departments` is theirs, away elsewhere."""
    scope = operator_scope(user)
    if scope is None:
        return frozenset()
    if scope.superadmin:
        return ADMIN
    here = scope.roles_over(operators, departments)
    home = {_OF_STAFF[OperatorRole.Role(role)][0] for role in here}
    return frozenset(home | {_OF_STAFF[OperatorRole.Role(role)][1] for role in scope.roles - here})


def site_roles(user: User | AnonymousUser) -> frozenset[Role]:
    """Return the roles that need no place: what one is on the pages that list."""
    if not isinstance(user, User):
        return frozenset({Role.VISITOR})
    scope = operator_scope(user)
    return staff_roles(user, scope.operators if scope else ()) or frozenset({Role.STRANGER})


def organization_roles(user: User | AnonymousUser, organization: Organization) -> frozenset[Role]:
    """Return the roles towards an organization: its operator's, or the territory's while no operator serves it."""
    if not isinstance(user, User):
        return frozenset({Role.VISITOR})
    membership = live_membership(user, organization)
    own = frozenset({commune_role(membership.role)}) if membership else frozenset()
    if operator_scope(user) is None:
        return own or frozenset({Role.STRANGER})
    serving = set(organization.operators.values_list("pk", flat=True))
    territory = () if serving else {organization.department_id or "", *organization.departments}
    return own | staff_roles(user, serving, territory)


def operator_roles(user: User | AnonymousUser, operator: Operator) -> frozenset[Role]:
    """Return the roles towards the staff of an operator; the national one's leads lead them all."""
    if not isinstance(user, User):
        return frozenset({Role.VISITOR})
    return staff_roles(user, {operator.pk}) or frozenset({Role.STRANGER})
