"""What a secretary reads while the suite is being built: plain words drawn from the steps, without a query."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.cutover_records import is_awaited
from onboarding.provisioning.drift import Difference
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.records import mail_records, spec_from
from suite.templatetags.suite import gigabytes

DONE, RUNNING, WAITING, UNKNOWN, UNSEEN, ABSENT, BLOCKED, SKIPPED, TODO = (
    "done",
    "running",
    "waiting",
    "unknown",
    "unseen",
    "absent",
    "blocked",
    "skipped",
    "todo",
)
_BADGES = {
    DONE: ("success", "En place"),
    RUNNING: ("info", "En cours"),
    WAITING: ("info", "En attente"),
    UNKNOWN: ("warning", "Inconnu pour l’instant"),
    UNSEEN: ("warning", "Inconnu"),
    ABSENT: ("error", "Absent"),
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
    # What was last known of a thing that cannot be seen now; `seen_at` is its date.
    known: str = ""
    # How what is there differs from what was decided, in words.
    drift: tuple[str, ...] = ()

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
    steps = _of_the_building(deployment)
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
    # Of a domain in use, what changes and when is said by its cutover alone: a difference, on dates.
    return () if is_awaited(deployment) else mail_records(deployment.domain, spec_from(spec))


def fingerprint(deployment: Deployment) -> str:
    """Return a short text that changes when something to show changes."""
    shown = [
        (
            *(str(step.pk), step.status, step.code, step.note, step.attempt > 0, step.failures > 0),
            step.resource is not None and step.resource.unknown_since is not None,
            step.resource is not None and bool((step.resource.observed or {}).get("absent")),
            step.resource.drift if step.resource is not None else [],
        )
        for step in _of_the_building(deployment)
    ]
    return hashlib.sha256(json.dumps([shown, deployment.status]).encode()).hexdigest()[:16]


def _of_the_building(deployment: Deployment) -> list[Step]:
    """Return the steps of the first plan, without what was removed since: later changes have pages of their own."""
    return [
        step
        for step in deployment.steps.all()
        if step.plan == 0 and (step.resource is None or step.resource.removed_at is None)
    ]


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
        known=_known(resource) if state == UNSEEN and resource else "",
        drift=tuple(Difference.from_json(each).sentence for each in resource.drift) if resource else (),
    )


def _known(resource: Resource) -> str:
    """Say what was last seen of a thing, in words."""
    seen = resource.observed or {}
    if seen.get("absent"):
        return "absent"
    if resource.kind == Resource.Kind.STORAGE:
        return f"{gigabytes(seen.get('used'))} utilisés sur {gigabytes(seen.get('quota'))}"
    if resource.kind == Resource.Kind.ZONE:
        return f"servi par {', '.join(name.rstrip('.') for name in seen.get('name_servers', []))}"
    return "en place"


def _state(step: Step, frontier: int) -> str:
    resource = step.resource
    if step.status == Step.Status.DONE and resource is not None and resource.unknown_since is not None:
        state = UNSEEN
    elif step.status == Step.Status.DONE and resource is not None and (resource.observed or {}).get("absent"):
        state = ABSENT
    elif step.status == Step.Status.DONE:
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
    Step.Name.IDENTITY: "Les adresses en {domain} se connectent par ProConnect.",
}


def _looked(deployment: Deployment, resource: Resource | None, state: str) -> str:
    """Say what the last look at a thing already built gave."""
    if state == ABSENT:
        return (
            f"Il n’y était plus à notre dernière vérification : votre opérateur, {deployment.operator.name}, le voit."
        )
    since = timezone.localtime(resource.unknown_since) if resource and resource.unknown_since else timezone.localtime()
    return f"Nous n’arrivons pas à le vérifier depuis le {since:%d/%m/%Y à %H:%M} ; nous réessayons tout seuls."


def _sentence(deployment: Deployment, step: Step, state: str) -> str:
    """Say where the step is; when something is awaited, what and from whom."""
    if state == DONE:
        return _DONE[Step.Name(step.name)].format(domain=deployment.domain)
    if state in {UNSEEN, ABSENT}:
        return _looked(deployment, step.resource, state)
    return {
        WAITING: step.note,
        UNKNOWN: f"{step.note} Nous recommençons tout seuls ; vous n’avez rien à faire.",
        BLOCKED: f"{step.note} Votre opérateur, {deployment.operator.name}, doit intervenir.",
        SKIPPED: f"Votre opérateur, {deployment.operator.name}, a choisi de continuer sans.",
    }.get(state, "")
