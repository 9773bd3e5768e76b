"""What is wrong with mailboxes that somebody asks for, each time with the remedy (`services.md`, 6.4)."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from onboarding.provisioning import mailbox_names
from onboarding.provisioning.holdings import (
    KINDS,
    PERSONAL,
    REDIRECT,
    Box,
    Entitlement,
    counted,
    quarantined,
    same_name,
)
from onboarding.provisioning.models import Deployment
from suite.templatetags.suite import gigabytes

TARGETS_MAX = 20
NAME_MAX = 100
AT_ONCE = 20


class Problem(NamedTuple):
    """What is wrong: the field, a French sentence, and the row when several are asked at once."""

    field: str
    sentence: str
    row: int = 0


@dataclass(frozen=True)
class NewBox:
    """A mailbox that somebody asks for. `quota` in bytes."""

    kind: str
    local_part: str
    display_name: str
    recovery_email: str = ""
    targets: tuple[str, ...] = ()
    quota: int | None = None

    def address(self, domain: str) -> str:
        """Return its whole address."""
        return f"{self.local_part}@{domain}"


def propose(
    given_name: str, family_name: str, function: str, *, taken: Collection[str], names: Collection[str]
) -> tuple[str, str]:
    """Return a local part and a display name that nobody has, for a person whose homonyms may already be there.

    `taken` are local parts; `names`, display names as `holdings.same_name` compares them.
    """
    local_part = next((one for one in mailbox_names.proposals(given_name, family_name) if one not in taken), "")
    whole = " ".join(f"{given_name} {family_name}".split())
    options = [whole, f"{whole} ({function.strip()})"] if function.strip() else [whole]
    options += [f"{whole} {number}" for number in range(2, 20)]
    return local_part, next((one for one in options if same_name(one) not in names), whole)


def judge(
    deployment: Deployment, boxes: Sequence[NewBox], existing: Sequence[Box], entitled: Entitlement
) -> list[Problem]:
    """Return what keeps these mailboxes from being made. Two queries."""
    problems: list[Problem] = []
    waiting = quarantined([box.address(deployment.domain) for box in boxes])
    twice = Counter(box.local_part for box in boxes)
    names = Counter(same_name(box.display_name) for box in boxes)
    taken = {box.address for box in existing}
    for row, box in enumerate(boxes):
        address = box.address(deployment.domain)
        problems += [Problem(field, said, row) for field, said in _own_problems(box)]
        if address in taken:
            problems.append(Problem("local_part", f"L’adresse {address} existe déjà : choisissez-en une autre.", row))
        elif twice[box.local_part] > 1:
            problems.append(Problem("local_part", f"L’adresse {address} est demandée deux fois : changez-en une.", row))
        elif address in waiting:
            day = timezone.localtime(waiting[address])
            said = (
                f"L’adresse {address} a été supprimée récemment : elle peut être redonnée à partir du {day:%d/%m/%Y}."
            )
            problems.append(Problem("local_part", said, row))
        problems += [one._replace(row=row) for one in name_problems(box.display_name, box.kind, existing)]
        if names[same_name(box.display_name)] > 1:
            problems.append(
                Problem("display_name", "Deux boîtes auraient le même nom affiché : ajoutez le service.", row)
            )
        if box.kind == REDIRECT:
            problems += [one._replace(row=row) for one in target_problems(address, list(box.targets), existing)]
    asked = sum(box.kind != REDIRECT for box in boxes)
    if asked and counted(existing) + asked > entitled.mailboxes:
        left = max(entitled.mailboxes - counted(existing), 0)
        said = (
            f"Votre dotation est de {entitled.mailboxes} boîtes, il en reste {left} : "
            "demandez davantage à votre opérateur, ou ajoutez-en moins."
        )
        problems.append(Problem("", said))
    bounded = [box.quota for box in boxes if box.quota is not None]
    if bounded:
        problems += quota_problems(sum(bounded), None, existing, entitled)
    return problems


def _own_problems(box: NewBox) -> Iterable[tuple[str, str]]:
    if box.kind not in KINDS:
        yield "kind", "Choisissez une boîte personnelle, une boîte partagée ou une redirection."
    if said := mailbox_names.problem(box.local_part, box.kind):
        yield "local_part", said
    if box.recovery_email and not _is_address(box.recovery_email):
        yield "recovery_email", "Cette adresse de secours n’est pas valide : par exemple « nom@exemple.fr »."


def name_problems(display_name: str, kind: str, existing: Sequence[Box]) -> list[Problem]:
    """Return what is wrong with a display name: two mailboxes never bear the same."""
    name = display_name.strip()
    if not name:
        return [Problem("display_name", "Indiquez le nom affiché : celui que lisent les correspondants.")]
    if len(name) > NAME_MAX or re.search(r"[<>\"@,;:\\\x00-\x1f\x7f]", name):
        return [
            Problem(
                "display_name", f"Le nom affiché a {NAME_MAX} caractères au plus, sans guillemets, chevrons ni « @ »."
            )
        ]
    if any(same_name(box.display_name) == same_name(name) for box in existing if box.kind != REDIRECT):
        example = f"{name} (Urbanisme)" if kind == PERSONAL else f"{name} 2"
        said = f"Une autre boîte s’affiche déjà « {name} » : ajoutez le service ou un numéro"
        return [Problem("display_name", f"{said}, par exemple « {example} ».")]
    return []


def clean_targets(targets: Iterable[str]) -> list[str]:
    """Return the addresses meant, once each, in lower case."""
    return list(dict.fromkeys(one.strip().lower() for one in targets if one.strip()))


def target_problems(address: str, targets: Sequence[str], existing: Sequence[Box]) -> list[Problem]:
    """Return what is wrong with where a redirect would lead: nowhere, to itself, in a circle."""
    if not targets:
        return [Problem("targets", "Indiquez au moins une adresse vers laquelle rediriger.")]
    if len(targets) > TARGETS_MAX:
        return [
            Problem("targets", f"Une redirection a {TARGETS_MAX} destinataires au plus : créez une boîte partagée.")
        ]
    wrong = [one for one in targets if not _is_address(one)]
    if wrong:
        return [Problem("targets", f"« {wrong[0][:80]} » n’est pas une adresse : corrigez-la.")]
    leads = {box.address: box.targets for box in existing if box.kind == REDIRECT}
    seen, ahead = set(), list(targets)
    while ahead:
        one = ahead.pop()
        if one == address:
            return [Problem("targets", "Cette redirection reviendrait à elle-même : retirez ce destinataire.")]
        if one not in seen:
            seen.add(one)
            ahead += leads.get(one, [])
    domain = address.partition("@")[2]
    here = {box.address for box in existing}
    missing = [one for one in targets if one.endswith(f"@{domain}") and one not in here]
    if missing:
        return [Problem("targets", f"L’adresse {missing[0]} n’existe pas sur votre domaine : corrigez-la.")]
    return []


def quota_problems(quota: int | None, used: int | None, others: Sequence[Box], entitled: Entitlement) -> list[Problem]:
    """Return what is wrong with a mailbox's bound: under its use, or more than is left of the domain's."""
    if quota is None:
        return []
    if used is not None and quota < used:
        said = f"Cette boîte contient déjà {gigabytes(used)} : un quota plus petit empêcherait d’y recevoir."
        return [Problem("quota", said)]
    shared = sum(box.quota or 0 for box in others)
    if entitled.mail is not None and shared + quota > entitled.mail:
        left = max(entitled.mail - shared, 0)
        return [
            Problem(
                "quota",
                f"La messagerie a {gigabytes(entitled.mail)} en tout, dont {gigabytes(left)} encore à répartir : "
                "demandez davantage à votre opérateur, ou réduisez ce quota.",
            )
        ]
    return []


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return text.isascii()
