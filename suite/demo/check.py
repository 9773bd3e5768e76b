"""`demo --check`: the main job walked end to end, as an agent and an operator would, over HTTP and real redirects."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from django.urls import reverse

from onboarding.intake.models import Dossier
from onboarding.provisioning.backends import world
from onboarding.provisioning.models import Deployment
from suite.demo.browser import Browser, Lost
from suite.demo.people import PEOPLE
from suite.directory.models import Organization

T = TypeVar("T")

BUILT_WITHIN = 120.0
OPERATOR = next(person for person in PEOPLE if person.key == "anct-responsable")


class Walk:
    """What happened so far, and how long each part took."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the journey: login, request, approval, provisioned."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)

    def do(self, name: str, act: Callable[[], T]) -> T:
        """Do one step; raises Lost, the step being the last of the list, when it fails."""
        began = time.monotonic()
        step: dict[str, Any] = {"name": name, "ok": False}
        self.steps.append(step)
        try:
            result = act()
        except httpx.HTTPError as error:
            raise Lost(f"{type(error).__name__}: {error}. Is the demonstration running?") from error
        finally:
            step["seconds"] = round(time.monotonic() - began, 2)
        step["ok"] = True
        return result


def walk(base: str) -> dict[str, Any]:
    """Walk the journey through the site at `base` and return what `demo --check` prints.

    `{"ok", "commune", "domain", "seconds": {"login", "request", "approval", "provisioned"}, "steps": [{"name", "ok",
    "seconds"}]}`, in seconds; when a step fails, `failed` names it and `error` quotes the answer's first lines.
    """
    walked = Walk()
    commune = _another_commune()
    result: dict[str, Any] = {"ok": False, "commune": commune.name, "domain": None}
    try:
        with Browser(base) as agent, Browser(base) as operator:
            result["domain"] = _journey(walked, commune, agent, operator)
        result["ok"] = True
    except Lost as lost:
        result |= {"failed": walked.steps[-1]["name"], "error": str(lost)}
    return result | {"seconds": walked.seconds, "steps": walked.steps}


def _another_commune() -> Organization:
    """Return an eligible commune that has not asked for anything yet, any of them."""
    fresh = (
        Organization.objects.filter(kind=Organization.Kind.COMMUNE, siren__isnull=False, successor__isnull=True)
        .filter(population__gt=0, population__lt=3500)
        .exclude(zone="com")
        .exclude(pk__in=Dossier.objects.values("organization"))
        .exclude(pk__in=Deployment.objects.values("organization"))
    )
    codes = list(fresh.values_list("code", flat=True))
    return fresh.get(code=random.choice(codes))  # noqa: S311 - any will do


def _journey(walked: Walk, commune: Organization, agent: Browser, operator: Browser) -> str:
    walked.do("search", lambda: _search(agent, commune))
    with walked.part("login"):
        walked.do("sign in as an agent", lambda: _sign_in_as_agent(agent, commune))
    with walked.part("request"):
        dossier = _ask(walked, agent)
    with walked.part("approval"):
        walked.do("sign in as an operator", lambda: _sign_in_as_operator(operator, dossier))
        walked.do("take", lambda: operator.submit("M’attribuer cette demande"))
        walked.do("read before accepting", lambda: operator.open(reverse("desk:approve", args=[dossier])))
        words = {"check": "Appel à la mairie."}
        walked.do("preview the answer", lambda: operator.submit("Voir le message avant l’envoi", **words))
        walked.do("approve", lambda: operator.submit("Accepter la demande"))
    with walked.part("provisioned"):
        domain = walked.do("see it come up", lambda: _wait_until_built(agent, dossier))
    walked.do("count what was built", lambda: _count(domain))
    walked.do("sign out", lambda: agent.submit("Se déconnecter"))
    return domain


def _search(agent: Browser, commune: Organization) -> None:
    page = reverse("eligibility:organization", args=[commune.code])
    agent.open(f"/?{urlencode({'q': commune.code})}")
    if agent.path != page and page not in agent.response.text:
        raise Lost(f"{commune.name} ({commune.code}) is not among the results. {agent.excerpt()}")
    agent.open(page)
    if reverse("intake:new") not in agent.response.text:
        raise Lost(f"The page of {commune.name} does not offer to ask. {agent.excerpt()}")


def _sign_in_as_agent(agent: Browser, commune: Organization) -> None:
    page = f"{reverse('intake:new')}?{urlencode({'commune': commune.code})}"
    agent.open(f"{reverse('oidc_authentication_init')}?{urlencode({'next': page})}")
    agent.submit(
        "Continuer",
        given_name="Dominique",
        usual_name="Vérification",
        email=f"mairie-{commune.code.lower()}@verification.example",
        siret=commune.siren or "",
        acr="eidas1",
        public="on",
    )
    if agent.path != reverse("intake:new"):
        raise Lost(f"Signed in, but not led back to the request. {agent.excerpt()}")


def _ask(walked: Walk, agent: Browser) -> str:
    forward = "Enregistrer et continuer"
    walked.do("open the request", lambda: agent.submit("Commencer la demande"))
    requester = {
        "requester_given_name": "Dominique",
        "requester_family_name": "Vérification",
        "requester_function": "secretaire",
        "requester_email": "dominique@verification.example",
        "requester_phone": "01 02 03 04 05",
    }
    walked.do("1. the commune", lambda: _to_step(2, agent.submit(forward, **requester)))
    walked.do("2. choose a proposed name", lambda: _use_a_proposed_name(agent))
    walked.do("2. the name", lambda: _to_step(3, agent.submit(forward)))
    walked.do("3. add a shared mailbox", lambda: agent.submit("Mairie"))
    walked.do("3. the mailboxes", lambda: _to_step(4, _fill_mailboxes(agent, forward)))
    storage: dict[str, str | list[str]] = {"storage_gb": "10", "services": ["2", "12", "58"]}
    walked.do("4. storage and services", lambda: _to_step(5, agent.submit(forward, **storage)))
    declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
    walked.do("5. submit", lambda: agent.submit("Transmettre ma demande", **declared))
    return agent.path.strip("/").split("/")[1]


def _to_step(number: int, agent: Browser) -> None:
    if not agent.path.endswith(f"/etape/{number}/"):
        raise Lost(f"Not led to step {number}. {agent.excerpt()}")


def _use_a_proposed_name(agent: Browser) -> None:
    proposed = [text for text in agent.buttons() if text.startswith("Utiliser ") and text.endswith(".collectivite.fr")]
    if not proposed:
        raise Lost(f"No name under collectivite.fr is proposed. {agent.excerpt()}")
    agent.submit(proposed[0], family="collectivite")


def _fill_mailboxes(agent: Browser, forward: str) -> Browser:
    form = next(form for form in agent.page.forms if forward in form.buttons)
    filled: dict[str, str | list[str]] = {}
    for index in range(int(form.fields["rows"][0])):
        row = f"mailboxes-{index}-"
        filled[f"{row}recovery_email"] = f"secours-{index}@verification.example"
        if form.fields[f"{row}kind"] == ["personal"]:
            filled |= {f"{row}given_name": "Dominique", f"{row}family_name": "Vérification"}
            filled |= {f"{row}administrator": "on"}
    return agent.submit(forward, **filled)


def _sign_in_as_operator(operator: Browser, dossier: str) -> None:
    page = reverse("desk:detail", args=[dossier])
    operator.open(f"{reverse('oidc_authentication_init')}?{urlencode({'next': page})}")
    operator.submit(f"{OPERATOR.given_name} {OPERATOR.usual_name} – {OPERATOR.label}")
    if operator.path != page:
        raise Lost(f"Signed in, but not led to the dossier. {operator.excerpt()}")


def _wait_until_built(agent: Browser, dossier: str) -> str:
    page = reverse("intake:detail", args=[dossier])
    deadline = time.monotonic() + BUILT_WITHIN
    while time.monotonic() < deadline:
        agent.open(page)
        if agent.data("deployment-status") == ["live"]:
            return agent.data("deployment-domain")[0]
        time.sleep(0.3)
    raise Lost(f"Not built within {BUILT_WITHIN:.0f} seconds: {agent.data('deployment-status')}. {agent.excerpt()}")


def _count(domain: str) -> None:
    """Look at the local world from outside: one of each, nothing twice."""
    found = world.listing()
    counts = {
        "zones": sum(zone["name"] == domain for zone in found["zones"]),
        "mail_domains": sum(one["name"] == domain for one in found["mail_domains"]),
        "mailboxes": sum(mailbox["domain"] == domain for mailbox in found["mailboxes"]),
    }
    if counts != {"zones": 1, "mail_domains": 1, "mailboxes": 2}:
        raise Lost(f"The outside world holds {counts} for {domain}.")
    created = Counter((one["what"], one["key"]) for one in found["created"])
    twice = [f"{what} {key}" for (what, key), times in created.items() if times > 1]
    if twice:
        raise Lost(f"Created twice: {', '.join(twice)}.")
