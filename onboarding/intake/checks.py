"""What is missing or wrong in a dossier: one list, for the pages, the API and the transitions alike."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from onboarding.agreements.workflow import AgreementRefused
from onboarding.intake import acting, availability, names, terms
from onboarding.intake.models import Dossier, MailboxRequest, NameChoice
from onboarding.intake.trade import ALLOCATION
from onboarding.provisioning import mailbox_names as mailboxes
from suite.accounts.mandates import Act, mandate, missing
from suite.accounts.models import User
from suite.catalog.models import Service
from suite.directory.lookup import verdict_of
from suite.directory.models import Organization

NBSP = "\u00a0"
MOST_MAILBOXES = 200
SHORTEST_CHECK = 10
MOST_STORAGE_GB = 10_000
PHONE = re.compile(r"\+?[0-9]{9,15}")


class Problem(NamedTuple):
    """A thing to put right: the form field, its step (1 to 5), and a French sentence with the remedy."""

    field: str
    step: int
    message: str

    @property
    def anchor(self) -> str:
        """The id of the field in its page."""
        # Of buttons to choose from, the first.
        return f"id_{self.field}_0" if self.field == "family" else f"id_{self.field}"


def can_submit(dossier: Dossier) -> list[Problem]:
    """Return all that keeps the dossier from being sent or approved, by step; empty when nothing does.

    Six queries where `presentation.complete` fetched the dossier's rows.
    """
    return [
        *standing_problems(dossier.organization),
        *rivals(dossier),
        *(problem for step in (1, 2, 3, 4, 5) for problem in step_problems(dossier, step)),
    ]


def step_problems(dossier: Dossier, step: int) -> list[Problem]:
    """Return what is wrong in one step."""
    return list({1: _requester, 2: _name, 3: _mailboxes, 4: _storage, 5: _declarations}[step](dossier))


def standing_problems(organization: Organization) -> list[Problem]:
    """Return why this organization may not ask at all, whatever it asks: its nature, its end, its population."""
    if organization.successor_id is not None:
        return [
            Problem("organization", 1, "Cette collectivité a été remplacée par une autre : c’est à elle de demander.")
        ]
    verdict = verdict_of(organization)
    if organization.nature not in {"COM", "CC"} or not verdict.may_request:
        return [Problem("organization", 1, verdict.reason)]
    return []


def mandate_problems(dossier: Dossier, user: User) -> list[Problem]:
    """Return why this person may not send the dossier in the organization's name."""
    if acting.is_assisted(dossier) and dossier.author_id == user.pk:
        if not missing(Act.SUBMIT, acting.mandate_of(dossier)):
            return []
        return [
            Problem(
                "organization",
                1,
                "La mairie n’a pas encore confirmé cette demande : envoyez-lui un courrier, ou déposez un document "
                "signé du maire.",
            )
        ]
    level = mandate(user, dossier.organization)
    if not missing(Act.SUBMIT, level):
        return []
    return [
        Problem(
            "organization",
            1,
            "Votre compte n’est pas rattaché à cette collectivité. Connectez-vous avec le compte ProConnect de la "
            "collectivité, prouvez votre habilitation par un code envoyé à la mairie ou par un document signé, ou "
            "demandez à une personne déjà rattachée de transmettre la demande.",
        )
    ]


def approval_mandate_problems(dossier: Dossier, check: str) -> list[Problem]:
    """Return why the mandate does not allow the approval; `check` is what the operator verified itself."""
    level, act = acting.mandate_of(dossier), acting.approval(dossier)
    checked = len(check.strip()) >= SHORTEST_CHECK
    said = missing(act, level, checked=checked)
    if acting.is_assisted(dossier):
        # The town hall itself must have answered: no operator's word, and no dérogation, stands for it.
        return [Problem("mandate", 0, said)] if (said := missing(act, level)) else []
    if said and not missing(act, level, checked=True):
        return [
            Problem(
                "check",
                0,
                f"L’habilitation est de niveau {level.code} ({level.label}){NBSP}: écrivez ce que vous avez vérifié "
                "(un appel à la mairie, par exemple), ou faites-la prouver par un courrier ou un document signé.",
            )
        ]
    return []


def needs_a_check(dossier: Dossier) -> bool:
    """Whether the approval asks the operator what it verified of the mandate."""
    level, act = acting.mandate_of(dossier), acting.approval(dossier)
    return bool(missing(act, level)) and not missing(act, level, checked=True)


def rivals(dossier: Dossier) -> list[Problem]:
    """Return the one-dossier rule when another dossier of the organization is open, without naming it."""
    others = Dossier.objects.open().filter(organization=dossier.organization_id).exclude(pk=dossier.pk)
    if not others.exists():
        return []
    return [
        Problem(
            "organization",
            1,
            "Une autre demande de cette collectivité est déjà transmise. Rapprochez-vous de la personne qui la suit, "
            f"ou écrivez à {settings.CONTACT_EMAIL}.",
        )
    ]


def is_email(text: str) -> bool:
    """Whether the text is one e-mail address."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


_REQUIRED = {
    "requester_given_name": "Indiquez votre prénom.",
    "requester_family_name": "Indiquez votre nom.",
    "requester_function": "Choisissez votre fonction dans la collectivité.",
    "requester_email": "Indiquez l’adresse électronique où vous joindre.",
    "requester_phone": "Indiquez le téléphone où vous joindre.",
}


def _requester(dossier: Dossier) -> Iterator[Problem]:
    for field, message in _REQUIRED.items():
        value = getattr(dossier, field)
        if not value:
            yield Problem(field, 1, message)
        elif field == "requester_email" and not is_email(value):
            yield Problem(
                field,
                1,
                f"Cette adresse électronique n’est pas valide{NBSP}: par exemple «{NBSP}camille@mairie.fr{NBSP}».",
            )
        elif field == "requester_phone" and not PHONE.fullmatch(re.sub(r"[\s.()-]", "", value)):
            yield Problem(field, 1, f"Ce téléphone n’est pas valide{NBSP}: par exemple «{NBSP}02 97 00 00 00{NBSP}».")


def _name(dossier: Dossier) -> Iterator[Problem]:
    if not dossier.family:
        yield Problem("family", 2, "Choisissez d’où vient le nom de domaine.")
        return
    choices = list(dossier.names.all())
    if not choices or choices[0].rank != 0:
        yield Problem("name", 2, "Indiquez le nom souhaité.")
    seen: set[str] = set()
    # Once approved, the name is taken by this very dossier.
    taken = (
        availability.unavailable((choice.fqdn for choice in choices), dossier.organization)
        if dossier.deployment_id is None
        else {}
    )
    for choice in choices:
        if said := _choice(choice, dossier.family, seen, taken):
            yield Problem(field_of_rank(choice.rank), 2, said)
        seen.add(choice.fqdn)
    if dossier.family != Dossier.Family.EXISTING:
        yield from _justification(dossier, choices)
        return
    if not dossier.dns_manager:
        yield Problem("dns_manager", 2, "Indiquez qui gère aujourd’hui ce nom de domaine.")
    if dossier.mail_in_use is None:
        yield Problem("mail_in_use", 2, "Indiquez si une messagerie utilise déjà ce nom.")
    elif dossier.mail_in_use and not dossier.mail_provider:
        yield Problem("mail_provider", 2, "Indiquez chez qui est la messagerie actuelle.")


def _choice(choice: NameChoice, family: str, seen: set[str], taken: dict[str, str]) -> str:
    if said := names.problem(choice.fqdn, family, shared_zone=settings.COLLECTIVITE_ZONE):
        return said
    if choice.fqdn in seen:
        return f"Ce nom est déjà dans votre liste{NBSP}: laissez vide ou choisissez-en un autre."
    return f"{taken[choice.fqdn]} Choisissez-en un autre." if choice.fqdn in taken else ""


def _justification(dossier: Dossier, choices: list[NameChoice]) -> Iterator[Problem]:
    if dossier.justification or not any(choice.fqdn for choice in choices):
        return
    ladder = availability.labels(dossier.organization)
    for choice in choices:
        if choice.fqdn and not availability.tells_the_commune(choice.fqdn, ladder):
            yield Problem(
                "justification",
                2,
                f"«{NBSP}{choice.fqdn}{NBSP}» ne suffit pas à reconnaître la collectivité{NBSP}: expliquez ce choix, "
                "ou prenez un des noms proposés.",
            )
            return


def field_of_rank(rank: int) -> str:
    """Return the form field of a name choice."""
    return f"alternative_{rank}" if rank else "name"


def _mailboxes(dossier: Dossier) -> Iterator[Problem]:
    rows = list(dossier.mailboxes.all())
    if not rows:
        yield Problem("mailboxes", 3, "Ajoutez au moins une boîte aux lettres.")
        return
    if len(rows) > MOST_MAILBOXES:
        yield Problem("mailboxes", 3, f"La liste compte {len(rows)} boîtes : {MOST_MAILBOXES} au plus par demande.")
    if not any(row.administrator and row.kind == MailboxRequest.Kind.PERSONAL for row in rows):
        yield Problem(
            "mailboxes",
            3,
            "Désignez au moins une personne qui administrera les boîtes : cochez « Administre » sur sa boîte.",
        )
    domains = {choice.fqdn for choice in dossier.names.all() if choice.fqdn}
    counts = Counter(row.local_part for row in rows)
    for index, row in enumerate(rows):
        for name, message in mailbox_problems(row, domains, counts):
            yield Problem(f"mailboxes-{index}-{name}", 3, f"Boîte {index + 1} : {message}")


def mailbox_problems(row: MailboxRequest, domains: set[str], counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong with it) for one mailbox; `counts` is how often each address is in the list."""
    personal = row.kind == MailboxRequest.Kind.PERSONAL
    if personal and not row.given_name:
        yield "given_name", "indiquez le prénom de la personne."
    if personal and not row.family_name:
        yield "family_name", "indiquez le nom de la personne."
    if said := mailboxes.problem(row.local_part, row.kind):
        yield "local_part", said
    elif counts[row.local_part] > 1:
        others = [p for p in mailboxes.proposals(row.given_name, row.family_name) if not counts[p]] if personal else []
        remedy = f" Par exemple «{NBSP}{others[0]}{NBSP}»." if others else ""
        yield "local_part", f"l’adresse «{NBSP}{row.local_part}{NBSP}» est deux fois dans la liste.{remedy}"
    if said := _recovery(row, domains):
        yield "recovery_email", said
    if row.kind == MailboxRequest.Kind.REDIRECT and not row.target_list:
        yield "targets", "indiquez vers quelles adresses rediriger."
    if row.kind == MailboxRequest.Kind.REDIRECT and row.local_part in row.target_list:
        yield "targets", "une boîte ne se redirige pas vers elle-même."
    for target in row.target_list:
        if not is_email(target) and target not in counts:
            yield "targets", f"«{NBSP}{target}{NBSP}» n’est ni une adresse électronique ni une boîte de la liste."


def _recovery(row: MailboxRequest, domains: set[str]) -> str:
    if not row.recovery_email:
        personal = row.kind == MailboxRequest.Kind.PERSONAL
        return "indiquez l’adresse de secours où envoyer les premiers accès." if personal else ""
    if not is_email(row.recovery_email):
        return "l’adresse de secours n’est pas valide."
    at = row.recovery_email.rpartition("@")[2].lower()
    if any(at == domain or at.endswith(f".{domain}") for domain in domains):
        return "l’adresse de secours doit être hors du domaine demandé, qui n’existe pas encore."
    return ""


def _storage(dossier: Dossier) -> Iterator[Problem]:
    if dossier.storage_gb is None:
        yield Problem("storage_gb", 4, "Indiquez le stockage souhaité, en gigaoctets.")
    elif not 1 <= dossier.storage_gb <= MOST_STORAGE_GB:
        yield Problem("storage_gb", 4, f"Le stockage va de 1 à {MOST_STORAGE_GB} Go.")
    if beyond_allocation(dossier) and not dossier.allocation_reason:
        yield Problem(
            "allocation_reason",
            4,
            f"La dotation prévue est de {ALLOCATION.current().mailboxes} boîtes et de "
            f"{ALLOCATION.current().storage_gb} Go : expliquez pourquoi il en faut davantage.",
        )
    for field in ("privacy_contact_email", "technical_contact_email"):
        if getattr(dossier, field) and not is_email(getattr(dossier, field)):
            yield Problem(field, 4, "Cette adresse électronique n’est pas valide : par exemple « contact@mairie.fr ».")
    chosen = [row.service_id for row in dossier.requested_services.all()]
    needs = Service.requires.through.objects.filter(from_service__in=chosen).exclude(to_service__in=chosen)
    for wanted, needed in needs.values_list("from_service__name", "to_service__name").order_by("from_service", "pk"):
        yield Problem(
            "services",
            4,
            f"«{NBSP}{wanted}{NBSP}» a besoin de «{NBSP}{needed}{NBSP}»{NBSP}: ajoutez-le, ou retirez-le.",
        )


def beyond_allocation(dossier: Dossier, times: int = 1) -> bool:
    """Whether the dossier asks more than the standard allocation, so many times."""
    standard = ALLOCATION.current()
    return bool(
        len(dossier.mailboxes.all()) > times * standard.mailboxes
        or (dossier.storage_gb or 0) > times * standard.storage_gb
    )


def stale_terms(dossier: Dossier) -> list[Problem]:
    """Return why the texts accepted in a dossier not yet sent are no longer those in force."""
    said = terms.stale(dossier)
    return [Problem("accepts_terms", 5, said)] if said else []


def unaccepted_terms(dossier: Dossier) -> list[Problem]:
    """Return what the collectivité never accepted in any version, which holds an approval back."""
    said = terms.unaccepted(dossier)
    return [Problem("terms", 0, said)] if said else []


def sending_problems(dossier: Dossier, user: User, *, ticked: Dossier) -> list[Problem]:
    """Return what keeps this person from sending; when nothing does, write down that it accepts the texts.

    `ticked` is the dossier as it was before being sent: what its box refers to must still be in force.
    """
    if problems := [*mandate_problems(dossier, user), *can_submit(dossier), *stale_terms(ticked)]:
        return problems
    try:
        terms.accept(dossier, by=user)
    except AgreementRefused as refused:
        return [Problem("accepts_terms", 5, str(refused))]
    return []


def _declarations(dossier: Dossier) -> Iterator[Problem]:
    if not dossier.declares_exact:
        yield Problem("declares_exact", 5, "Certifiez que les informations données sont exactes.")
    if not dossier.declares_mandate:
        yield Problem("declares_mandate", 5, "Certifiez que vous êtes habilité à agir pour la collectivité.")
    if not dossier.accepts_terms:
        yield Problem("accepts_terms", 5, "Lisez et acceptez les prix, la convention et le texte sur les données.")
    else:
        yield from stale_terms(dossier)
