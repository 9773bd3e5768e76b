"""Why a dossier goes back or is refused (`requests.md`, 2.2), and the fields a reason unlocks. Codes are stable.

The words and the fields are a setting of the trade; what stands here is what they are before anybody changes them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from suite import trade


class Field(NamedTuple):
    """A field, or a group of them, that an operator may point at."""

    label: str
    step: int


FIELDS = {
    "requester": Field("Le demandeur et ses coordonnées", 1),
    "name": Field("Le nom de domaine souhaité", 2),
    "alternatives": Field("Les noms de remplacement", 2),
    "justification": Field("L’explication du nom", 2),
    "dns": Field("La gestion du domaine et de la messagerie actuels", 2),
    "mailboxes": Field("La liste des boîtes aux lettres", 3),
    "storage": Field("Le stockage demandé", 4),
    "services": Field("Les services demandés", 4),
    "contacts": Field("Les contacts", 4),
}

# The form's fields behind each name above.
COLUMNS = {
    "requester": (
        "requester_given_name",
        "requester_family_name",
        "requester_function",
        "requester_email",
        "requester_phone",
    ),
    "name": ("family", "name"),
    "alternatives": ("alternative_1", "alternative_2", "alternative_3", "accepts_alternatives"),
    "justification": ("justification",),
    "dns": ("dns_manager", "mail_in_use", "mail_provider", "mail_switch_on"),
    "mailboxes": ("mailboxes",),
    "storage": ("storage_gb", "allocation_reason"),
    "services": ("services",),
    "contacts": (
        "privacy_contact_name",
        "privacy_contact_email",
        "technical_contact_name",
        "technical_contact_email",
    ),
}


class Change(NamedTuple):
    """A reason to send a dossier back; `unlocks` is empty where the operator picks the fields.

    `text` is what the commune reads when the operator adds nothing of its own.
    """

    label: str
    unlocks: tuple[str, ...]
    text: str = ""


DEFAULT_CHANGES = {
    "mandate_missing": Change("Votre habilitation à agir pour la commune reste à prouver", ("requester",)),
    "identity_mismatch": Change("Le SIRET de votre compte n’est pas celui de la commune", ("requester",)),
    "name_unrelated": Change(
        "Le nom demandé ne permet pas de reconnaître la commune", ("name", "alternatives", "justification")
    ),
    "name_ambiguous": Change("Ce nom est aussi celui d’une autre commune", ("name", "alternatives")),
    "name_taken": Change("Ce nom n’est plus disponible", ("name", "alternatives")),
    "domain_unproven": Change("La détention du domaine existant n’est pas démontrée", ("name", "dns")),
    "domain_other_holder": Change("Le domaine appartient à une autre structure", ("name", "alternatives")),
    "mailbox_list": Change("La liste des boîtes est à corriger", ("mailboxes",)),
    "allocation": Change("La dotation demandée dépasse ce qui est prévu", ("mailboxes", "storage")),
    "contact_unreachable": Change("Nous n’avons pas pu joindre le contact indiqué", ("requester", "contacts")),
    "reference_data": Change("Les données publiques de la commune sont à corriger", ("requester",)),
    "other": Change("Autre point", ()),
}

DEFAULT_REJECTIONS = {
    "not_eligible": "La structure n’entre pas dans le dispositif",
    "no_mandate": "Habilitation non établie",
    "other_operator": "Votre OPSN assure déjà ce service",
    "name_refused": "Aucun des noms demandés ne peut être attribué",
    "duplicate": "Une autre demande de la commune est déjà traitée",
    "not_public_use": "Usage étranger au service public",
    "abandoned_by_commune": "À la demande de la commune, hors de la plateforme",
    "other": "Autre motif",
}


V = TypeVar("V")


class _InForce(Mapping[str, V]):
    """A mapping read anew at each use: what the lead operators wrote applies at the next request."""

    def __init__(self, read: Callable[[], dict[str, V]]) -> None:
        self._read = read

    def __getitem__(self, code: str) -> V:
        return self._read()[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def _changes() -> dict[str, Change]:
    return {one.code: Change(one.label, one.unlocks, one.text) for one in trade.read("reasons") if one.kind == "change"}


def _rejections() -> dict[str, str]:
    return {one.code: one.label for one in trade.read("reasons") if one.kind == "rejection"}


# Every reason, those that are no longer offered included: a past decision keeps its words.
CHANGES: Mapping[str, Change] = _InForce(_changes)
REJECTIONS: Mapping[str, str] = _InForce(_rejections)


def offered_changes() -> list[tuple[str, str]]:
    """Return (code, label) of the reasons an operator may send a dossier back for."""
    return [(one.code, one.label) for one in trade.read("reasons") if one.kind == "change" and one.offered]


def offered_rejections() -> list[tuple[str, str]]:
    """Return (code, label) of the reasons an operator may refuse a dossier for."""
    return [(one.code, one.label) for one in trade.read("reasons") if one.kind == "rejection" and one.offered]


def label(code: str) -> str:
    """Return the words of a reason, of either kind; an unknown code stands for itself."""
    change = CHANGES.get(code)
    return change.label if change else rejection_label(code)


def rejection_label(code: str) -> str:
    """Return the words of a reason to refuse: « other » is a code of both kinds, and says another thing in each."""
    return REJECTIONS.get(code, code)


def text(code: str) -> str:
    """Return what the commune reads of a reason when the operator adds nothing, "" when nothing is written."""
    change = CHANGES.get(code)
    return change.text if change else ""
