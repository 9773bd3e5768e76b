"""Looks at many collectivités side by side: the DNS by the engine, sites and mail servers by threads.

A domain or a site that several share is looked at once.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from onboarding.audits import gathering
from onboarding.audits.declared import Declaration, Site
from onboarding.audits.engine import Budget, Engine, Gatherer, Question
from onboarding.audits.examination import around
from onboarding.audits.facts import Facts, Lookup
from onboarding.audits.lists import shipped
from onboarding.audits.resolver import Resolver
from onboarding.audits.rules import declared as declared_rules
from onboarding.audits.rules.report import Case
from onboarding.audits.web import Prober

K = TypeVar("K")
A = TypeVar("A")
B = TypeVar("B")
logger = logging.getLogger(__name__)

THREADS = 16


class Prefetched(Resolver):
    """Answers what the engine has asked already, and asks the rest itself."""

    def __init__(self, known: Mapping[tuple[str, str], Lookup], server: str = "") -> None:
        super().__init__(server)
        self._known = known

    def lookup(self, name: str, kind: str) -> Lookup:
        """Return what is known, or ask."""
        return self._known.get((name, kind)) or super().lookup(name, kind)


def look(declarations: Mapping[K, Declaration], *, server: str = "", budget: Budget | None = None) -> dict[K, Case]:
    """Gather everything the rules judge of each declaration."""
    said = {key: declared_rules.judge(declaration, shipped()) for key, declaration in declarations.items()}
    sites = {each.site.url: each.site for each in said.values() if each.site}
    facts: dict[str, Facts] = {}
    known: dict[tuple[str, str], Lookup] = {}

    def done(result: Facts | tuple[Lookup, ...]) -> None:
        if isinstance(result, Facts):
            facts[result.domain] = result
            known.update({(each.name, each.type): each for each in result.others})
        else:
            known.update({(each.name, each.type): each for each in result})

    gatherers: list[Gatherer[Facts | tuple[Lookup, ...]]] = [
        *(gathering.mail(domain) for domain in sorted({each.domain for each in said.values() if each.domain})),
        *(_names(site) for site in sites.values()),
    ]
    if gatherers:
        Engine(Resolver(server).servers(), budget=budget).run(gatherers, done)
    prober = Prober(Prefetched(known, server))
    with ThreadPoolExecutor(THREADS) as threads:
        webs = dict(zip(sites, threads.map(_survive(prober.gather), sites.values()), strict=True))
        servers = dict(
            zip(facts, threads.map(_survive(lambda each: around(prober, each)), facts.values()), strict=True)
        )
    return {
        key: Case(
            declaration,
            facts.get(said[key].domain or ""),
            webs.get(_url(said[key].site)),
            servers.get(said[key].domain or ""),
        )
        for key, declaration in declarations.items()
    }


def _survive(act: Callable[[A], B]) -> Callable[[A], B | None]:
    """Return `act`, of which a failure that nobody foresaw costs one answer, not those of the whole batch."""

    def safely(about: A) -> B | None:
        try:
            return act(about)
        except Exception:
            logger.exception("A probe failed in a way that nobody foresaw.")
            return None

    return safely


def _url(site: Site | None) -> str:
    return site.url if site else ""


def _names(site: Site) -> Gatherer[tuple[Lookup, ...]]:
    """Gather the names of a site, those of its counterpart included."""
    found: Iterable[Lookup] = yield from gathering.site(site.host)
    other = site.domain if site.host.startswith("www.") else f"www.{site.domain}"
    more = (yield [Question(other, "A"), Question(other, "AAAA")]) if site.is_registrable else []
    return (*found, *more)
