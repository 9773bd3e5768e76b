"""What a secretary reads while the suite is being built: plain words drawn from the steps, without a query."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from onboarding.provisioning.backends.protocols import MailSpec, Record
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.records import mail_records

DONE, RUNNING, WAITING, UNKNOWN, BLOCKED, SKIPPED, TODO = (
    "done",
    "running",
    "waiting",
    "unknown",
    "blocked",
    "skipped",
    "todo",
)
_BADGES = {
    DONE: ("success", "En place"),
    RUNNING: ("info", "En cours"),
    WAITING: ("info", "En attente"),
    UNKNOWN: ("warning", "Inconnu pour l’instant"),
    BLOCKED: ("error", "Intervention nécessaire"),
    SKIPPED: ("warning", "Laissé de côté"),
    TODO: ("", "À venir"),
}


@dataclass(frozen=True)
class Line:
    """One thing being built: its name, where it is, and in words what is awaited and from whom."""

    key: str
    label: str
    state: str
    sentence: str
    seen_at: datetime | None
    kind: str
    quota: int | None = None

    @property
    def tone(self) -> str:
        """The kind of DSFR badge."""
        return _BADGES[self.state][0]

    @property
    def badge(self) -> str:
        """The words of the badge."""
        return _BADGES[self.state][1]


def lines(deployment: Deployment) -> list[Line]:
    """Return the lines of a deployment read with `with_steps()`, in the order they are built."""
    steps = list(deployment.steps.all())
    unfinished = [step.position for step in steps if step.status not in Step.FINISHED]
    frontier = min(unfinished, default=0)
    return [_line(deployment, step, frontier) for step in steps]


def records_to_publish(deployment: Deployment) -> tuple[Record, ...]:
    """Return what the commune publishes itself on its own domain, once the mail provider has said it."""
    if deployment.zone_kind != Deployment.ZoneKind.EXTERNAL:
        return ()
    domain = next((each for each in deployment.resources.all() if each.kind == Resource.Kind.MAIL_DOMAIN), None)
    spec = (domain.observed or {}).get("spec") if domain else None
    if spec is None:
        return ()
    return mail_records(
        deployment.domain,
        MailSpec(
            mx=tuple((preference, host) for preference, host in spec["mx"]),
            spf=spec["spf"],
            dkim_selector=spec["dkim_selector"],
            dkim=spec["dkim"],
            aliases=tuple((label, target) for label, target in spec["aliases"]),
        ),
    )


def fingerprint(deployment: Deployment) -> str:
    """Return a short text that changes when something to show changes."""
    shown = [
        (str(step.pk), step.status, step.code, step.note, step.attempt > 0, step.failures > 0)
        for step in deployment.steps.all()
    ]
    return hashlib.sha256(json.dumps([shown, deployment.status]).encode()).hexdigest()[:16]


def _line(deployment: Deployment, step: Step, frontier: int) -> Line:
    state = _state(step, frontier)
    resource = step.resource
    quota = resource.desired.get("quota") if resource and step.name in {Step.Name.STORAGE, Step.Name.SERVICE} else None
    return Line(
        key=str(step.pk),
        label=_label(step),
        state=state,
        sentence=_sentence(deployment, step, state),
        seen_at=resource.observed_at if resource else step.finished_at,
        kind=step.name,
        quota=quota,
    )


def _state(step: Step, frontier: int) -> str:
    if step.status == Step.Status.DONE:
        state = DONE
    elif step.status == Step.Status.SKIPPED:
        state = SKIPPED
    elif step.status == Step.Status.BLOCKED:
        state = BLOCKED
    elif step.waits_for_somebody:
        state = WAITING
    elif step.failures:
        state = UNKNOWN
    else:
        state = RUNNING if step.position == frontier else TODO
    return state


def _label(step: Step) -> str:
    if step.resource is not None and step.name == Step.Name.MAILBOX:
        return str(step.resource.desired["address"])
    if step.resource is not None and step.name == Step.Name.SERVICE:
        return f"Service {step.resource.desired['name']}"
    return step.get_name_display()


_DONE = {
    Step.Name.REGISTRATION: "Le nom {domain} est réservé pour vous.",
    Step.Name.ZONE: "Votre nom de domaine {domain} répond.",
    Step.Name.MAIL_DOMAIN: "La messagerie de {domain} est ouverte, et ses courriels seront signés.",
    Step.Name.RECORDS: "Les réglages du nom de domaine sont publiés.",
    Step.Name.VERIFICATION: "Nous avons vérifié de l’extérieur que tout est bien publié.",
    Step.Name.MAILBOX: "La boîte est prête.",
    Step.Name.STORAGE: "Votre espace de stockage est prêt.",
    Step.Name.SERVICE: "Le service vous est ouvert.",
    Step.Name.END_TO_END: "Un courriel d’essai est arrivé, un fichier d’essai s’est relu.",
    Step.Name.WELCOME: "Le message de bienvenue est parti.",
}


def _sentence(deployment: Deployment, step: Step, state: str) -> str:
    """Say where the step is; when something is awaited, what and from whom."""
    if state == DONE:
        return _DONE[Step.Name(step.name)].format(domain=deployment.domain)
    if state == WAITING:
        return step.note
    if state == UNKNOWN:
        return f"{step.note} Nous recommençons tout seuls ; vous n’avez rien à faire."
    if state == BLOCKED:
        return f"{step.note} Votre opérateur, {deployment.operator.name}, doit intervenir."
    if state == SKIPPED:
        return f"Votre opérateur, {deployment.operator.name}, a choisi de continuer sans."
    return ""
