"""Moves a cutover along: reads the DNS from outside, warns, checks, switches at the hour, verifies, and goes back.

In a zone that is ours the records change at the hour chosen; elsewhere the commune publishes and we observe. Nothing is
believed but what the resolver of the audits reads back.
"""

import datetime as dt
from typing import Any

from django.utils import timezone

from onboarding.audits.facts import Facts
from onboarding.audits.resolver import gather
from onboarding.audits.rules import Finding, inspect
from onboarding.provisioning import backends, cutover_records, moves
from onboarding.provisioning import cutover_workflow as verbs
from onboarding.provisioning.backends.protocols import MailSpec
from onboarding.provisioning.due_windows import Stage, settle
from onboarding.provisioning.errors import NotYet, Refused, Unavailable
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.move_models import Cutover, MailImport
from onboarding.provisioning.records import expected_of

S = Cutover.State

REVERTIBLE_FOR = dt.timedelta(days=30)
UNKNOWN_FOR = dt.timedelta(hours=2)  # past the hour, how long a DNS that does not answer is waited for
LATE = dt.timedelta(days=2)  # past the hour, or the switch, when somebody must look
OFTEN, SELDOM = dt.timedelta(minutes=10), dt.timedelta(hours=6)
STAGES = (
    Stage("cutover_week", dt.timedelta(days=7)),
    Stage("cutover_ttl", cutover_records.LOWERED),
    Stage("cutover_eve", dt.timedelta(days=1)),
)


def perform(row: Cutover) -> None:
    """Go one step further if it is time. Ends by returning (a person must act) or by an `Outcome`."""
    if row.state in Cutover.ENDED:
        return
    if moves.is_closing(row.deployment):
        if row.state in Cutover.BEFORE:
            verbs.advance(row, S.CANCELLED, due_at=None)
        return
    domain = row.deployment.domain
    try:
        spec = backends.mail().spec(domain)
    except Refused as refusal:
        note = "La messagerie de ce domaine n’est pas encore prête de notre côté : nous attendons qu’elle le soit."
        raise NotYet(refusal.code, note, after=dt.timedelta(minutes=1)) from refusal
    facts = gather(domain, selectors=[spec.dkim_selector], by=backends.resolver())
    try:
        _GOES[S(row.state)](row, spec, facts)
    except Refused as refusal:
        # Our own DNS says no, and will again: nothing happens at the hour chosen, and people know.
        told = {"code": refusal.code[:60], "note": refusal.note[:500]}
        if row.state in {S.PLANNED, S.PREPARED}:
            verbs.advance(row, S.POSTPONED, "postponed", **told)
            return
        if row.at is not None:
            _alarm(row, "late", timezone.now())
        raise


def _read(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Keep what the world reads today, for the commune to compare and for the way back."""
    _keep_present(row, spec, facts)


def _postponed(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Make the checks again, so that the page says what remains to mend."""
    _check(row, spec, facts)


def _planned(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Wait for the time to prepare; the plan follows what is published meanwhile."""
    _already(row, spec, facts)
    _keep_present(row, spec, facts)
    _check(row, spec, facts)
    at, now = _at(row), timezone.now()
    _remind(row, now)
    if now >= at - cutover_records.LOWERED and verbs.advance(row, S.PREPARED):
        _publish(row, spec)
        if not verbs.is_external(row.deployment):
            Cutover.objects.filter(pk=row.pk).update(ttl_lowered_at=now)
        raise NotYet("prepared", "", after=dt.timedelta(0))
    raise NotYet("planned", "", after=_until(row, now, at - cutover_records.LOWERED))


def _prepared(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Check, and at the hour switch only if everything that can be known is right."""
    _already(row, spec, facts)
    _publish(row, spec)
    checks = _check(row, spec, facts)
    at, now = _at(row), timezone.now()
    if now < at:
        _remind(row, now)
        raise NotYet("prepared", "", after=_until(row, now, at))
    states = {check["state"] for check in checks}
    if "fail" in states or ("unknown" in states and now > at + UNKNOWN_FOR):
        verbs.advance(row, S.POSTPONED, "postponed")
        return
    if "unknown" in states:
        note = "L’heure est venue, mais le DNS ne répond pas : nous réessayons avant de basculer."
        raise NotYet("dns_unknown", note, after=dt.timedelta(minutes=2))
    if verbs.advance(row, S.DUE, "now"):
        _publish(row, spec)
    raise NotYet("due", "", after=dt.timedelta(0))


def _due(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Publish where we may, and wait until the world reads it."""
    _publish(row, spec)
    _already(row, spec, facts)
    now = timezone.now()
    if now > _at(row) + LATE:
        _alarm(row, "late", now)
    if verbs.is_external(row.deployment):
        note = "Publiez les enregistrements du jour de la bascule : nous regardons toutes les dix minutes."
        raise NotYet("mx_elsewhere", note, after=OFTEN)
    raise NotYet("mx_elsewhere", "Les nouveaux enregistrements se répandent.", after=dt.timedelta(seconds=30))


def _switched(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Read the records back from outside, and send a message that arrives."""
    if _is_back_elsewhere(row, spec, facts):
        return
    _publish(row, spec)
    wrong = [each for each in _judged(spec, facts) if each.state != "pass"]
    now, since = timezone.now(), row.switched_at or timezone.now()
    try:
        if wrong:
            raise NotYet(wrong[0].reason, wrong[0].sentence, after=OFTEN)  # noqa: TRY301 - one way to end
        backends.mail().check_delivery(_an_address(row.deployment))
    except (NotYet, Unavailable, Refused) as trouble:
        if now > since + LATE:
            _alarm(row, "unverified", now)
        note = f"Basculée, mais pas encore vérifiée. {trouble.note}"
        raise NotYet(
            trouble.code, note, after=OFTEN if now > since + dt.timedelta(hours=1) else dt.timedelta(minutes=1)
        ) from trouble
    verbs.advance(row, S.VERIFIED, "verified", verified_at=now, code="", note="")
    raise NotYet("", "", after=SELDOM)


def _verified(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Keep watch while one may still go back."""
    if _is_back_elsewhere(row, spec, facts):
        return
    _publish(row, spec)
    now = timezone.now()
    if row.switched_at is not None and now >= row.switched_at + REVERTIBLE_FOR:
        verbs.advance(row, S.DONE, due_at=None)
        return
    raise NotYet("", "", after=SELDOM)


def _reverting(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Give the former servers back, and wait until the world reads them."""
    _publish(row, spec)
    before = (row.before or {}).get("mx", [])
    if facts.mx.outcome != "unknown" and sorted(value.lower() for value in facts.mx.values) == before:
        verbs.advance(row, S.REVERTED, "reverted", due_at=None, code="", note="")
        return
    note = "Les anciens serveurs ne sont pas encore ceux que le monde lit."
    if verbs.is_external(row.deployment):
        note = "Publiez de nouveau les anciens serveurs de messagerie (MX) : nous regardons toutes les dix minutes."
    raise NotYet("mx_here", note, after=OFTEN if verbs.is_external(row.deployment) else dt.timedelta(seconds=30))


# --- Parts of these ---------------------------------------------------------------------------------------------------


def _keep_present(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """Write what the world reads, unless that is already us: the way back leads to the others."""
    aliases = {
        label: backends.resolver().lookup(f"{label}.{row.deployment.domain}", "CNAME") for label, _ in spec.aliases
    }
    seen = cutover_records.present(facts, aliases)
    if seen is None:
        note = "Le DNS ne répond pas : nous ne savons pas encore ce que votre domaine publie."
        raise NotYet("dns_unknown", note, after=dt.timedelta(minutes=1))
    if row.before is not None and cutover_records.is_ours(seen["mx"], spec):
        return
    now = timezone.now()
    Cutover.objects.filter(pk=row.pk, attempt=row.attempt).update(before=seen, before_at=now, code="", note="")
    row.before, row.before_at = seen, now


def _already(row: Cutover, spec: MailSpec, facts: Facts) -> None:
    """The world reads our servers, whoever published them and at whatever hour: from there on it is verified."""
    if facts.mx.outcome == "answer" and cutover_records.is_ours(facts.mx.values, spec):
        verbs.advance(row, S.SWITCHED, switched_at=timezone.now(), code="", note="")
        raise NotYet("switched", "", after=dt.timedelta(0))


def _is_back_elsewhere(row: Cutover, spec: MailSpec, facts: Facts) -> bool:
    """Whether the former servers are published again without anybody having asked us: then the cutover is undone."""
    before = (row.before or {}).get("mx", [])
    seen = sorted(value.lower() for value in facts.mx.values)
    if facts.mx.outcome == "unknown" or not before or seen != before or cutover_records.is_ours(seen, spec):
        return False
    if not verbs.is_external(row.deployment):
        return False  # ours to publish: what is seen is an old answer
    return verbs.advance(row, S.REVERTED, "reverted", due_at=None, code="", note="")


def _publish(row: Cutover, spec: MailSpec) -> None:
    """In a zone that is ours, publish what this stage wants; elsewhere the commune does."""
    deployment = row.deployment
    if verbs.is_external(deployment):
        return
    records = cutover_records.wanted(deployment, spec, row, timezone.now())
    backends.dns().ensure_records(deployment.domain, records, owner=deployment.owner)


def _judged(spec: MailSpec, facts: Facts) -> list[Finding]:
    """Return what must be right after the switch: MX, our part of the SPF record, our key."""
    return [each for each in inspect(facts, expected_of(spec)) if each.id in {"2.4", "2.5", "B2"}]


def _check(row: Cutover, spec: MailSpec, facts: Facts) -> list[dict[str, str]]:
    """Say what is ready and what is not, and keep it: [{code, state: pass, warn, fail or unknown, sentence}]."""
    external = verbs.is_external(row.deployment)
    checks = [*_boxes(row), _servers(row, facts)]
    for finding in _judged(spec, facts):
        if finding.id != "2.4":
            # In a zone that is ours these are published two days ahead: not before.
            early = not external and row.state != S.PREPARED
            checks.append(_line(finding.id, "pass" if early else finding.state, finding.sentence))
    if external and row.ttl_lowered_at is None:
        text = "La durée de vie (TTL) du MX n’est pas dite abaissée : la bascule prendra peut-être une journée."
        checks.append(_line("ttl", "warn", text))
    else:
        checks.append(_line("ttl", "pass", "La durée de vie (TTL) du MX est courte à l’heure dite."))
    Cutover.objects.filter(pk=row.pk, attempt=row.attempt).update(checks=checks, checked_at=timezone.now())
    return checks


def _boxes(row: Cutover) -> list[dict[str, str]]:
    """Return what is known of the mailboxes: they are there, and their old mail has a plan."""
    boxes = row.deployment.resources.filter(kind=Resource.Kind.MAILBOX).order_by("key")
    ready = set(
        Step.objects.filter(
            deployment=row.deployment_id, resource__in=boxes, name=Step.Name.MAILBOX, status=Step.Status.DONE
        ).values_list("resource", flat=True)
    )
    missing = [box.key for box in boxes if box.pk not in ready]
    if not boxes:
        first = _line("mailboxes", "fail", "Aucune boîte n’est prévue : le courrier n’arriverait nulle part.")
    elif missing:
        first = _line("mailboxes", "fail", f"Ces boîtes ne sont pas encore prêtes : {', '.join(missing[:10])}.")
    else:
        first = _line("mailboxes", "pass", "Toutes les boîtes sont prêtes.")
    begun = MailImport.objects.filter(resource__in=boxes).exclude(state=MailImport.State.CANCELLED)
    if row.nothing_to_bring:
        second = _line("old_mail", "pass", "Vous avez choisi de laisser l’ancien courrier où il est.")
    elif begun.exists():
        second = _line("old_mail", "pass", "L’ancien courrier est repris, ou en train de l’être.")
    else:
        text = "Rien n’est prévu pour l’ancien courrier : lancez une reprise, ou dites qu’il n’y a rien à reprendre."
        second = _line("old_mail", "fail", text)
    return [first, second]


def _servers(row: Cutover, facts: Facts) -> dict[str, str]:
    """Compare today's servers with those that the plan knows: they are the way back."""
    if facts.mx.outcome == "unknown":
        return _line("mx", "unknown", "Le DNS ne répond pas : nous ne savons pas où arrive le courrier aujourd’hui.")
    if sorted(value.lower() for value in facts.mx.values) != (row.before or {}).get("mx"):
        text = "Les serveurs de messagerie (MX) ont changé depuis le plan : relisez-le et choisissez une nouvelle date."
        return _line("mx", "fail", text)
    return _line("mx", "pass", "Le courrier arrive là où le plan le croit ; nous saurons y revenir.")


def _line(code: str, state: str, sentence: str) -> dict[str, str]:
    return {"code": code, "state": state, "sentence": sentence}


def _an_address(deployment: Deployment) -> str:
    """Return a mailbox to write to; one that keeps its mail if there is one."""
    boxes: list[dict[str, Any]] = [
        box.desired for box in deployment.resources.filter(kind=Resource.Kind.MAILBOX).order_by("key")
    ]
    if not boxes:
        raise Refused("no_mailbox", "Aucune boîte n’est prévue sur ce domaine.")
    return str(min(boxes, key=lambda box: box.get("kind") == "redirect")["address"])


def _remind(row: Cutover, now: dt.datetime) -> None:
    """Say what comes: the latest stage reached, once for that date."""
    stages = [stage for stage in STAGES if stage.kind != "cutover_ttl" or verbs.is_external(row.deployment)]
    # A plan made closer than a stage is not told of it: the mail of the plan says as much.
    made = row.consent_at or row.created_at
    at = _at(row)
    line = settle(f"cutover:{row.pk}", [stage for stage in stages if at - stage.before > made], at, now)
    if line is not None:
        what = line.kind.removeprefix("cutover_")
        line.notice = verbs.tell(row, what, key=f"cutover:{row.pk}:{what}:{at.isoformat()}")
        line.save(update_fields=["notice"])


def _alarm(row: Cutover, what: str, now: dt.datetime) -> None:
    """Have somebody look, once for that date."""
    if settle(f"cutover:{row.pk}", [Stage(f"cutover_{what}", dt.timedelta(0))], _at(row), now) is not None:
        verbs.tell(row, what, key=f"cutover:{row.pk}:{what}:{_at(row).isoformat()}")


def _at(row: Cutover) -> dt.datetime:
    if row.at is None:
        raise Refused("no_date", "Cette bascule n’a pas de date.")
    return row.at


def _until(row: Cutover, now: dt.datetime, goal: dt.datetime) -> dt.timedelta:
    """Return how long to sleep: to the next thing to say or do, six hours at most."""
    moments = [goal, *(_at(row) - stage.before for stage in STAGES)]
    return min([moment - now for moment in moments if moment > now] + [SELDOM])


_GOES = {
    S.DRAFT: _read,
    S.PLANNED: _planned,
    S.PREPARED: _prepared,
    S.DUE: _due,
    S.SWITCHED: _switched,
    S.VERIFIED: _verified,
    S.REVERTING: _reverting,
    S.POSTPONED: _postponed,
}
