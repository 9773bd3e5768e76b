"""What the facts mean. Pure: no framework, no network, no clock.

Ids are those of the RPNT (`presence.md`, 2.2), and B1 to B11 beyond it. With `expected`, the question is no longer
« does this domain follow the référentiel? » but « is what we need published, and nothing that contradicts it? ».
"""

from onboarding.audits.facts import Facts
from onboarding.audits.rules.finding import Finding, State, depends
from onboarding.audits.rules.mail import Expected, judge, tags

RULESET = "2026-11.3"

__all__ = ["RULESET", "Expected", "Finding", "State", "inspect", "tags"]


def inspect(facts: Facts, expected: Expected | None = None) -> list[Finding]:
    """Judge the mail of a domain: 2.4 to 2.7, B1 and B2."""
    found = judge(facts, expected)
    if expected is not None:  # each record that we ask for counts on its own
        return found
    mx, spf, quality, dmarc, policy, dkim = found
    return [mx, depends(spf, mx), quality, depends(dmarc, mx), depends(depends(policy, dmarc), mx), dkim]
