"""What each step does, from top to bottom in the order of the plan.

A step hands nothing on: whoever needs a fact asks the backend for it. It ensures each fact separately, because a thing
that exists may still not be configured, and writes what it then saw on its resource. It may run again at any time.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from onboarding.audits.models import Audit
from onboarding.audits.resolver import gather
from onboarding.audits.rules import RULESET, Finding, inspect
from onboarding.provisioning import backends, closing_steps, cutover_records, life_steps
from onboarding.provisioning.backends.protocols import Mailbox, MailSpec
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.identity import attach
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.quota_watch import entitled
from onboarding.provisioning.records import expected_of
from suite.catalog.models import Service
from suite.catalog.workflow import HeldByAnotherOperatorError, subscribe
from suite.notices.workflow import queue

Kind = Deployment.ZoneKind

# What must hold before mailboxes are made. On a domain in use its owner keeps its own DMARC policy (services.md, 6.3).
REQUIRED_OURS = frozenset({"2.4", "2.5", "2.6", "2.7", "B1", "B2"})
REQUIRED_EXTERNAL = frozenset({"2.4", "2.5", "B2"})
RECORDS_GIVEN_UP = timedelta(days=30)
PUBLICATION_GIVEN_UP = 100  # looks at our own servers, some ten minutes


def registration(step: Step) -> None:
    """Hold the new name."""
    deployment, registrar = step.deployment, backends.registrar()
    registrar.ensure_registered(deployment.domain, owner=deployment.owner)
    # Whoever says that it was done is not believed on their word: this refuses a name that is not ours.
    registrar.delegation(deployment.domain)


def zone(step: Step) -> None:
    """Have the zone, and have the world find it."""
    deployment = step.deployment
    dns = backends.dns()
    dns.ensure_zone(deployment.domain, owner=deployment.owner)
    dns.ensure_signed(deployment.domain)
    delegation = dns.delegation(deployment.domain)
    if deployment.zone_kind == Kind.REGISTERED:
        backends.registrar().ensure_delegated(deployment.domain, delegation)
    else:
        parent = deployment.domain.partition(".")[2]
        dns.ensure_delegated(parent, deployment.domain, delegation, owner=deployment.owner)
    _observe(step, {"name_servers": list(delegation.name_servers)})


def mail_domain(step: Step) -> None:
    """Have the mail domain, its signing key and its quota."""
    deployment = step.deployment
    mail = backends.mail()
    mail.ensure_domain(deployment.domain, owner=deployment.owner)
    mail.ensure_dkim(deployment.domain)
    mail.ensure_quota(deployment.domain, _desired(step)["quota"])
    # The records to publish are shown from here: a page never asks a backend.
    _observe(step, {"quota": _desired(step)["quota"], "spec": asdict(mail.spec(deployment.domain))})


def records(step: Step) -> None:
    """Publish what the mail needs, in a zone that is ours."""
    deployment = step.deployment
    spec, cutover = backends.mail().spec(deployment.domain), cutover_records.current(deployment)
    published = cutover_records.wanted(deployment, spec, cutover, timezone.now())
    backends.dns().ensure_records(deployment.domain, published, owner=deployment.owner)


def verification(step: Step) -> None:
    """Read the records back from outside, by the rules of the audits, and keep the proof."""
    deployment = step.deployment
    spec = backends.mail().spec(deployment.domain)
    findings = _audit(deployment, spec)
    required = REQUIRED_EXTERNAL if deployment.zone_kind == Kind.EXTERNAL else REQUIRED_OURS
    if cutover_records.is_awaited(deployment):
        # Its mail arrives elsewhere until the day that the commune chose; its SPF record waits too where it is ours.
        required = REQUIRED_EXTERNAL - {"2.4"} if deployment.zone_kind == Kind.EXTERNAL else frozenset({"B2"})
    wrong = [finding for finding in findings if finding.id in required and finding.state != "pass"]
    if not wrong:
        return
    worst = next((finding for finding in wrong if finding.state == "fail"), wrong[0])
    if deployment.zone_kind != Kind.EXTERNAL:
        if worst.state == "unknown":
            raise Unavailable(worst.reason, "Le DNS n’a pas répondu : nous ne savons pas encore si tout est publié.")
        # Whoever said that it was published may have been wrong.
        records(step)
        if step.attempt % PUBLICATION_GIVEN_UP == 0:
            raise Refused("records_not_seen", f"Nos enregistrements ne se voient pas de l’extérieur. {worst.sentence}")
        raise NotYet(worst.reason, f"Publication en cours. {worst.sentence}", after=timedelta(seconds=5))
    age = timezone.now() - deployment.created_at
    if age > RECORDS_GIVEN_UP:
        raise Refused("records_not_published", "Les enregistrements ne sont toujours pas publiés après 30 jours.")
    after = timedelta(minutes=1) if age < timedelta(hours=6) else timedelta(hours=1)
    raise NotYet(worst.reason, f"La commune doit publier les enregistrements indiqués. {worst.sentence}", after=after)


def mailbox(step: Step) -> None:
    """Have one mailbox, named and directed."""
    desired = _desired(step)
    wanted = Mailbox(desired["address"], desired["kind"], desired["display_name"], tuple(desired["targets"]))
    mail = backends.mail()
    mail.ensure_mailbox(wanted, owner=step.deployment.owner)
    mail.ensure_mailbox_settings(wanted)
    seen = next((each for each in mail.mailboxes(step.deployment.domain) if each.address == wanted.address), None)
    if seen is None:
        raise Unavailable("not_seen", "La boîte a été demandée, mais ne se voit pas encore.")
    _observe(step, life_steps.observed_of(seen))


def storage(step: Step) -> None:
    """Have the storage space, bounded and with a key of its own."""
    desired = _desired(step)
    space, store = desired["space"], backends.storage()
    store.ensure_space(space, owner=step.deployment.owner)
    store.ensure_quota(space, desired["quota"])
    store.ensure_key(space)
    seen = store.enforce(space)
    _observe(step, {"quota": seen.quota, "used": seen.used})


def service(step: Step) -> None:
    """Open one service to the organization, with its quota."""
    deployment, desired = step.deployment, _desired(step)
    offered = Service.objects.get(pk=desired["service"])
    quota = entitled(deployment, desired)
    try:
        subscribe(deployment.organization, offered, deployment.operator, quota=quota, by=None)
    except HeldByAnotherOperatorError as error:
        raise Refused("other_operator", str(error)) from error
    _observe(step, {"quota": quota})


def end_to_end(step: Step) -> None:
    """Send a message that arrives, and store a file that reads back."""
    deployment = step.deployment
    built = deployment.steps.filter(status=Step.Status.DONE, resource__isnull=False).select_related("resource")
    made = [each.resource for each in built if each.resource is not None]
    boxes = sorted(
        (each.desired for each in made if each.kind == Resource.Kind.MAILBOX), key=lambda box: box["kind"] == "redirect"
    )
    if boxes and not cutover_records.is_awaited(deployment):
        backends.mail().check_delivery(boxes[0]["address"])
    for space in (each for each in made if each.kind == Resource.Kind.STORAGE):
        backends.storage().check_storage(space.desired["space"])


def welcome(step: Step) -> None:
    """Tell the commune; once, whatever happens to this worker."""
    deployment = step.deployment
    awaited = models.Q(status=Step.Status.WAITING, code=Step.HOLDERS_TURN)
    steps = deployment.steps.filter(models.Q(status=Step.Status.DONE) | awaited, resource__isnull=False)
    made = {each.resource_id for each in steps}
    resources = [each for each in deployment.resources.order_by("key") if each.pk in made]
    queue(
        "welcome",
        to=deployment.welcome_email,
        context={
            "deployment": deployment,
            "mailboxes": [each.desired for each in resources if each.kind == Resource.Kind.MAILBOX],
            "first_login": any(each.status == Step.Status.WAITING for each in steps),
            "quota": next((each.desired["quota"] for each in resources if each.kind == Resource.Kind.STORAGE), None),
            "gaps": deployment.steps.filter(status__in=[Step.Status.SKIPPED, Step.Status.BLOCKED]).count(),
            "url": settings.PUBLIC_BASE_URL + reverse("provisioning:detail", args=[deployment.pk]),
            "site_name": settings.SITE_NAME,
            "contact_email": settings.CONTACT_EMAIL,
        },
        key=f"deployment:{deployment.pk}",
    )


def identity(step: Step) -> None:
    """Attach the domain to its operator's identity provider. Last: what it waits for takes days."""
    desired = _desired(step)
    if step.resource is not None:
        attach(step.resource)
    _observe(step, {"provider": desired["provider"], "attached": True})


PLAN: dict[str, Callable[[Step], None]] = {
    Step.Name.REGISTRATION: registration,
    Step.Name.ZONE: zone,
    Step.Name.MAIL_DOMAIN: mail_domain,
    Step.Name.RECORDS: records,
    Step.Name.VERIFICATION: verification,
    Step.Name.MAILBOX: mailbox,
    Step.Name.STORAGE: storage,
    Step.Name.SERVICE: service,
    Step.Name.END_TO_END: end_to_end,
    Step.Name.WELCOME: welcome,
    Step.Name.IDENTITY: identity,
    **life_steps.PLAN,
    **closing_steps.PLAN,
}


# The steps of the first plan, as against those of what comes after.
BUILDING = frozenset(PLAN) - life_steps.PLAN.keys() - closing_steps.PLAN.keys()
# They ask what they have just made: that it is unknown only says that it was not made.
READING_BACK = BUILDING - {Step.Name.IDENTITY}


def position(name: str) -> int:
    """Return the place of a step in the plan; gaps leave room for steps to come."""
    return 10 * (list(PLAN).index(name) + 1)


def perform(step: Step) -> None:
    """Do one step. Nothing is built for a collectivité that exists no more: a person decides."""
    organization = step.deployment.organization
    if organization.successor is not None and step.name in BUILDING:
        raise Refused(
            "organization_merged",
            f"{organization.name} a été remplacée par {organization.successor.name} : "
            "abandonnez cette mise en service, ou passez les étapes qui restent.",
        )
    try:
        PLAN[step.name](step)
    except Refused as refusal:
        if step.name in READING_BACK and refusal.code.startswith("unknown_"):
            # We have just asked for it, and were told that it was done.
            raise Unavailable("not_seen", f"Ce qui a été demandé ne se voit pas encore. {refusal.note}") from refusal
        raise


def _audit(deployment: Deployment, spec: MailSpec) -> list[Finding]:
    """Look, judge, and keep both; the same look as last time is not kept twice."""
    facts = gather(deployment.domain, selectors=[spec.dkim_selector], by=backends.resolver())
    findings = inspect(facts, expected_of(spec))
    stored = {"facts": facts.as_json(), "findings": [finding.as_json() for finding in findings]}
    last = Audit.objects.filter(organization=deployment.organization, domain=deployment.domain).order_by("-checked_at")
    latest = last.first()
    if latest is not None and {"facts": latest.facts, "findings": latest.findings} == _as_stored(stored):
        Audit.objects.filter(pk=latest.pk).update(checked_at=timezone.now())
    else:
        Audit.objects.create(organization=deployment.organization, domain=deployment.domain, ruleset=RULESET, **stored)
    return findings


def _as_stored(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON gives it back: tuples are lists."""
    if isinstance(value, dict):
        return {key: _as_stored(each) for key, each in value.items()}
    return [_as_stored(each) for each in value] if isinstance(value, list | tuple) else value


def _desired(step: Step) -> dict[str, Any]:
    if step.resource is None:
        raise Refused("no_resource", "Cette étape ne dit pas ce qu’elle doit faire.")
    desired: dict[str, Any] = step.resource.desired
    return desired


def _observe(step: Step, seen: dict[str, Any]) -> None:
    """Leave what was just seen of the step's resource: it is written with the step's end."""
    step.seen = (seen, timezone.now())
