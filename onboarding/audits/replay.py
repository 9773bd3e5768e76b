"""The rules of today on the facts of yesterday: what would change, and, if asked, what stands then."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from onboarding.audits import workflow
from onboarding.audits.declared import Declaration
from onboarding.audits.facts import Facts
from onboarding.audits.mail_facts import ServerFacts
from onboarding.audits.results_models import Examination
from onboarding.audits.rules.report import Case, report
from onboarding.audits.web_facts import WebFacts

CHUNK = 500


def case_of(declaration: dict[str, Any], facts: dict[str, Any]) -> Case:
    """Return what was stored as the rules take it."""
    return Case(
        Declaration(**declaration),
        Facts.from_json(facts["mail"]) if facts["mail"] else None,
        WebFacts.from_json(facts["web"]) if facts["web"] else None,
        ServerFacts.from_json(facts["servers"]) if facts["servers"] else None,
    )


def differences() -> Counter[tuple[str, str, str]]:
    """Count what the rules of today would judge otherwise: (criterion, state that stands, state now).

    A state that waits for its second attempt is compared as it was found.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    for row in Examination.objects.iterator(CHUNK):
        judged = report(case_of(row.declaration, row.facts)).findings
        for rule, finding in judged.items():
            stood = row.pending[rule]["state"] if rule in row.pending else row.verdicts.get(rule, ["absent"])[0]
            if stood != finding.state:
                found[rule, stood, finding.state] += 1
    return found


def replay() -> int:
    """Judge all stored facts again and store the verdicts; return how many collectivités changed.

    Nothing was looked at: dates stay, and a failure that is new waits for the next look to confirm it.
    """
    changed, now = 0, timezone.now()
    for keys in _chunks():
        with transaction.atomic():
            rows = list(Examination.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
            for row in rows:
                changed += workflow.judge_again(row, case_of(row.declaration, row.facts), now)
    return changed


def _chunks() -> Iterator[list[Any]]:
    keys = list(Examination.objects.order_by("pk").values_list("pk", flat=True))
    return (keys[at : at + CHUNK] for at in range(0, len(keys), CHUNK))
