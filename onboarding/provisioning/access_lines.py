"""What the page of first credentials says of each mailbox, without a query once its links are fetched."""

from dataclasses import dataclass

from onboarding.provisioning.access_models import CredentialLink
from onboarding.provisioning.access_workflow import recovery
from onboarding.provisioning.models import Deployment, Resource

State, Channel = CredentialLink.State, CredentialLink.Channel
_FAILED = "Le dernier essai n’a pas abouti ; le lien vaut toujours."


@dataclass(frozen=True)
class AccessLine:
    """One mailbox: its address, where its link is, and what may be done."""

    resource: Resource
    badge: str
    tone: str
    sentence: str
    made: bool
    by_mail: bool
    live: bool


def line(resource: Resource, deployment: Deployment) -> AccessLine:
    """Return the line of one mailbox."""
    resource.deployment = deployment
    links = list(resource.access_links.all())
    last = links[0] if links else None
    live = last is not None and last.state in CredentialLink.LIVE and not last.expired
    seen = resource.observed is not None and not resource.observed.get("absent")
    redirect = resource.desired.get("kind") == "redirect"
    badge, tone, sentence = _said(resource, last, made=seen, redirect=redirect)
    return AccessLine(
        resource, badge, tone, sentence, made=seen and not redirect, by_mail=bool(recovery(resource)), live=live
    )


def _said(resource: Resource, last: CredentialLink | None, *, made: bool, redirect: bool) -> tuple[str, str, str]:
    if redirect:
        said = ("Sans accès", "", "Une redirection : ses courriels arrivent ailleurs.")
    elif not made:
        said = ("À venir", "", "La boîte n’existe pas encore : le lien partira de lui-même quand elle sera prête.")
    elif last is not None:
        said = _of_link(last)
    elif recovery(resource):
        said = ("À envoyer", "info", "Aucun lien n’est encore parti vers son adresse de secours.")
    else:
        said = ("À remettre", "warning", "Aucune adresse de secours hors du domaine : imprimez le lien et remettez-le.")
    return said


def _of_link(last: CredentialLink) -> tuple[str, str, str]:
    if last.state == State.USED:
        return "Accès donné", "success", "Son titulaire a ouvert le lien et lu son accès."
    if last.state == State.CANCELLED:
        return "Lien annulé", "warning", "Le dernier lien a été annulé."
    if last.expired:
        return "Lien expiré", "warning", "Personne n’a ouvert le dernier lien à temps : envoyez-en un autre."
    if last.state == State.OPEN:
        way = "imprimé" if last.channel == Channel.PAPER else "envoyé à son adresse de secours"
        return "Lien en attente", "info", f"Lien {way}, pas encore ouvert. {_FAILED if last.code else ''}".strip()
    return "En cours", "info", "Son titulaire vient d’ouvrir le lien."
