"""What a person left around the requests: messages, reported errors, shares, drafts, decisions about its account.

Rows only, for `personal`, which says why and for how long. Another's words are not given: a message is its author's.
"""

import datetime as dt

from django.db.models import Q
from django.utils import timezone

from onboarding.intake.desk_models import Absence, BulkAct, CheckItem, DecisionDraft, SavedView
from onboarding.intake.imports import KEPT
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.request_models import Claim, CoAuthor, MailboxImport, TypedForm
from onboarding.intake.thread_models import Mention, Message, Reading, Rhythm
from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.block_models import AccountBlock
from suite.accounts.models import User

Rows = list[dict[str, str]]


def around(user: User) -> list[tuple[str, str, Rows]]:
    """Return (title, category of `retention`, rows) of each kind of trace; perhaps none. About fifteen queries."""
    return [
        ("Ce que vous avez écrit dans les échanges", "accepted", _messages(user)),
        ("Notes où vous êtes cité", "accepted", _mentions(user)),
        ("Erreurs que vous avez signalées", "accepted", _claims(user)),
        ("Demandes que vous partagez", "accepted", _shares(user)),
        ("Ce que vous avez proposé ou vérifié", "accepted", [*_proposals(user), *_checks(user)]),
        ("Décisions en cours de rédaction", "accepted", _drafts(user)),
        ("Formulaires et tableaux en attente", "typed", _typed(user)),
        ("Vos actes sur plusieurs demandes", "bulk", _bulk(user)),
        ("Vos habitudes", "desk", _habits(user)),
        ("Décisions sur votre compte", "administrators", _decisions(user)),
    ]


def _messages(user: User) -> Rows:
    found = Message.objects.filter(author=user).select_related("dossier").prefetch_related("attachments", "versions")
    return [
        {
            "Demande": one.dossier.reference,
            "Le": _at(one.created_at),
            "Votre texte": one.original or one.body,
            "Avant correction": "\n".join(version.body for version in one.versions.all()),
            "Fichiers": ", ".join(file.name for file in one.attachments.all()),
        }
        for one in found.order_by("created_at")
    ]


def _mentions(user: User) -> Rows:
    found = Mention.objects.filter(user=user).select_related("message__dossier")
    return [{"Demande": one.message.dossier.reference, "Le": _at(one.message.created_at)} for one in found]


def _claims(user: User) -> Rows:
    return [
        {
            "Demande": one.dossier.reference,
            "Le": _at(one.created_at),
            "Sur": one.get_fact_display(),
            "Vous dites": one.claimed,
            "Pourquoi": one.reason,
        }
        for one in Claim.objects.filter(author=user).select_related("dossier")
    ]


def _shares(user: User) -> Rows:
    return [
        {
            "Demande": one.dossier.reference,
            "Le": _at(one.created_at),
            "État": one.get_state_display(),
            "Votre message": one.message,
        }
        for one in CoAuthor.objects.filter(Q(user=user) | Q(email__iexact=user.email, user=None)).select_related(
            "dossier"
        )
    ]


def _proposals(user: User) -> Rows:
    return [
        {
            "Demande": one.dossier.reference,
            "Le": _at(one.created_at),
            "Motif": one.reason,
            "Vérification": one.check_made,
        }
        for one in Proposal.objects.filter(proposer=user).select_related("dossier")
    ]


def _checks(user: User) -> Rows:
    return [
        {"Demande": one.dossier.reference, "Le": _at(one.overridden_at), "Motif": one.why, "Vérification": one.code}
        for one in CheckItem.objects.filter(overridden_by=user).select_related("dossier")
    ]


def _drafts(user: User) -> Rows:
    return [
        {
            "Demande": one.dossier.reference,
            "Le": _at(one.saved_at),
            "Vos mots": "\n".join(text for texts in one.fields.values() for text in texts),
        }
        for one in DecisionDraft.objects.filter(user=user).select_related("dossier")
    ]


def _typed(user: User) -> Rows:
    forms = [
        {"Quoi": one.path, "Le": _at(one.created_at), "Effacé": _at(one.expires_at)}
        for one in TypedForm.objects.filter(user=user)
    ]
    tables = [
        {
            "Quoi": f"Tableau de boîtes, {one.dossier.reference}",
            "Le": _at(one.created_at),
            "Effacé": _at(one.created_at + KEPT),
        }
        for one in MailboxImport.objects.filter(author=user).select_related("dossier")
    ]
    return [*forms, *tables]


def _bulk(user: User) -> Rows:
    return [
        {"Acte": one.act, "Le": _at(one.created_at), "Demandes": ", ".join(item["reference"] for item in one.items)}
        for one in BulkAct.objects.filter(user=user)
    ]


def _habits(user: User) -> Rows:
    views = [{"Quoi": f"Vue « {one.name} »", "Valeur": one.query} for one in SavedView.objects.filter(owner=user)]
    away = [
        {"Quoi": "Absence", "Valeur": f"du {one.first_day:%d/%m/%Y} au {one.last_day:%d/%m/%Y}"}
        for one in Absence.objects.filter(user=user)
    ]
    read = [
        {"Quoi": f"Échanges lus, {one.dossier.reference}", "Valeur": _at(one.read_at)}
        for one in Reading.objects.filter(user=user).select_related("dossier")
    ]
    rhythm = Rhythm.objects.filter(user=user).first()
    how = "une fois par jour" if rhythm and rhythm.daily else "aussitôt"
    told = [{"Quoi": "Notifications qui peuvent attendre", "Valeur": how}] if rhythm else []
    return [*views, *away, *read, *told]


def _decisions(user: User) -> Rows:
    changes = [
        {
            "Quoi": one.get_kind_display(),
            "Collectivité": one.organization.name,
            "Le": _at(one.asked_at),
            "État": one.get_state_display(),
            "Motif": one.reason,
            "Adresse demandée": one.email,
        }
        for one in AdministratorChange.objects.filter(person=user).select_related("organization")
    ]
    blocks = [
        {
            "Quoi": one.get_kind_display(),
            "Le": _at(one.asked_at),
            "État": one.get_state_display(),
            "Motif": one.reason,
        }
        for one in AccountBlock.objects.filter(user=user)
    ]
    return [*changes, *blocks]


def _at(moment: dt.datetime | None) -> str:
    return timezone.localtime(moment).strftime("%d/%m/%Y %H:%M") if moment else ""
