"""The pages about people in real Chromium: teams, managers, staff, accounts, sessions, second factor, break-glass."""

import re
import subprocess
import sys
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.conftest import Screen
from tests.browser.test_journey import follow, look
from tests.demonstration import ROOT, Demo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demonstration")]

LEAD, SECRETARY = re.compile("Responsable à l’ANCT"), re.compile("Camille Le Goff")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
# Somebody asks, and somebody else has confirmed: what 48 hours and two people make, the pages are looked at now.
CONFIRMED = """
from datetime import date
from suite.accounts import administrators, codes
from suite.accounts.mandate_models import MandateProof
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Organization
from django.utils import timezone
commune = Organization.objects.get(code="56196")
lead = User.objects.get(operator_roles__role="lead", operator_roles__operator__national=True)
asker = User.objects.filter(operator_roles__role="instructor", operator_roles__operator__national=True).first()
person = User.objects.get(email="secretaire@rochefort-en-terre.example")
Membership.objects.filter(user=person, organization=commune).update(state="active", role="requester")
now = timezone.now()
MandateProof.objects.get_or_create(organization=commune, user=person, route="letter_code", state="proved",
    defaults={"requested_by": person, "proved_at": now, "expires_at": now.replace(year=now.year + 1)})
for old in commune.administrator_changes.filter(state__in=["asked", "confirmed", "objected"]):
    administrators.cancel(old, by=lead, reason="Un essai précédent.")
change = administrators.ask(commune, "give", person=person, by=asker, reason="Elle prend la suite au secrétariat.")
made = codes.make
codes.make = lambda length: print("TOKEN", token := made(length)) or token
administrators.confirm(change, by=lead, check="Mairie appelée au numéro de l’annuaire.")
print("CHANGE", change.pk)
"""


def manage(demo: Demo, *arguments: str) -> str:
    """Run a command of the site as its administrator would."""
    command = [sys.executable, "manage.py", *arguments]
    env = {**demo.env, "PUBLIC_BASE_URL": f"http://127.0.0.1:{demo.port}"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def enter(page: Page, base: str, path: str, who: re.Pattern[str]) -> None:
    """Go to a closed page, by ProConnect."""
    page.goto(base + path)
    follow(page.get_by_role("link", name="S’identifier avec ProConnect"))
    follow(page.get_by_role("button", name=who).first)
    expect(page).to_have_url(re.compile(re.escape(path)))


def see(page: Page, *, scripts: bool) -> None:
    """Look at a page as wide as a desk, then as narrow as a phone."""
    for size in (DESK, PHONE):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a ViewportSize
        look(page, scripts=scripts)
        if scripts:
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{page.url} scrolls sideways by {wide} px"
    page.set_viewport_size(DESK)  # type: ignore[arg-type]  # idem


def refused(page: Page) -> None:
    """Expect a form shown again, its errors first."""
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\s*Erreur"))


def test_a_lead_finds_its_way_among_people(screen: Screen, scripts: bool) -> None:  # noqa: FBT001 - a fixture's value
    page = screen.page
    enter(page, screen.base, "/instruction/equipe/", LEAD)
    for path in ("equipe", "rapprochements", "gestionnaires", "comptes"):
        page.goto(f"{screen.base}/instruction/{path}/")
        see(page, scripts=scripts)
    page.goto(f"{screen.base}/instruction/equipe/")
    follow(page.get_by_role("link", name=re.compile("Inviter")).first)
    follow(page.get_by_role("button", name=re.compile("Envoyer|Inviter")).first)
    refused(page)
    see(page, scripts=scripts)
    page.goto(f"{screen.base}/instruction/comptes/")
    page.get_by_label("Nom ou adresse électronique").fill("anct")
    follow(page.get_by_role("button", name="Chercher"))
    see(page, scripts=scripts)
    follow(page.locator("main li a").first)
    see(page, scripts=scripts)
    follow(page.get_by_role("button", name="Proposer la désactivation"))
    # The sign-in's own factor is enough to propose; the reason is missing.
    refused(page)
    see(page, scripts=scripts)
    # To give it up takes a factor of its own: the page that asks for one, then the form handed back.
    page.get_by_label("Motif").fill("Un essai de la promenade.")
    follow(page.get_by_role("button", name="Proposer la désactivation"))
    follow(page.get_by_role("button", name="Renoncer"))
    see(page, scripts=scripts)
    follow(page.locator("main").get_by_role("link", name=re.compile("second facteur|Confirmer|ProConnect")).first)
    if page.get_by_role("button", name=LEAD).count():
        follow(page.get_by_role("button", name=LEAD).first)
    see(page, scripts=scripts)
    follow(page.locator("main form").get_by_role("button").first)
    expect(page.get_by_text("La proposition est écartée")).to_be_visible()
    see(page, scripts=scripts)
    page.goto(f"{screen.base}/mes-sessions/")
    see(page, scripts=scripts)


def test_a_secretary_sees_her_team_her_mandate_and_her_sessions(screen: Screen, scripts: bool) -> None:  # noqa: FBT001
    page = screen.page
    enter(page, screen.base, "/mon-equipe/", SECRETARY)
    see(page, scripts=scripts)
    page.goto(f"{screen.base}/habilitation/56196/")
    see(page, scripts=scripts)
    page.goto(f"{screen.base}/mes-sessions/")
    see(page, scripts=scripts)


def test_a_change_of_managers_is_followed_and_frozen(screen: Screen, scripts: bool, demo: Demo) -> None:  # noqa: FBT001
    page = screen.page
    enter(page, screen.base, "/mon-equipe/", SECRETARY)
    said = manage(demo, "shell", "--no-imports", "-c", CONFIRMED)
    change, token = re.findall(r"CHANGE (\S+)", said)[0], re.findall(r"TOKEN (\w{24})", said)[0]
    page.goto(f"{screen.base}/gestionnaires/{change}/")
    see(page, scripts=scripts)
    lead = screen.another()
    enter(lead, screen.base, f"/gestionnaires/{change}/", LEAD)
    see(lead, scripts=scripts)
    hall = screen.another()
    hall.goto(f"{screen.base}/gestionnaires/objection/{token}/")
    see(hall, scripts=scripts)
    follow(hall.get_by_role("button", name="Suspendre ce changement"))
    expect(hall.get_by_role("heading", level=1)).to_have_text("C’est noté, le changement est suspendu")
    see(hall, scripts=scripts)
    lead.reload()
    expect(lead.get_by_text("Contesté, suspendu").first).to_be_visible()
    see(lead, scripts=scripts)
    lead.get_by_label("Ce que vous avez vérifié, ou votre motif").fill("Erreur de la mairie, rappelée.")
    follow(lead.get_by_role("button", name="Annuler la demande"))
    expect(lead.get_by_text("La demande est annulée.")).to_be_visible()
    follow(lead.get_by_role("link", name="Changements de gestionnaires"))
    lead.goto(f"{screen.base}/instruction/gestionnaires/")
    see(lead, scripts=scripts)
    page.goto(f"{screen.base}/mon-equipe/")
    see(page, scripts=scripts)


def test_the_envelope_opens_the_door_with_both_its_factors(screen: Screen, scripts: bool, demo: Demo) -> None:  # noqa: FBT001
    name = f"coffre-{'js' if scripts else 'nojs'}"
    envelope = manage(demo, "break_glass", "create", name)
    page = screen.open("/secours/connexion/")
    see(page, scripts=scripts)
    secret = re.findall(r"\b([A-Za-z0-9]{8}(?:-[A-Za-z0-9]{8}){3})\b", envelope)[0]
    totp = re.findall(r"\b([A-Z2-7]{32})\b", envelope)[0]
    page.get_by_label("Nom du compte de secours").fill(name)
    page.get_by_label("Mot de passe").fill("faux")
    follow(page.locator("main").get_by_role("button").first)
    refused(page)
    see(page, scripts=scripts)
    page.get_by_label("Nom du compte de secours").fill(name)
    page.get_by_label("Mot de passe").fill(secret)
    follow(page.locator("main").get_by_role("button").first)
    see(page, scripts=scripts)
    page.get_by_label("Code à usage unique").fill("000000")
    follow(page.locator("main").get_by_role("button").first)
    refused(page)
    see(page, scripts=scripts)
    page.get_by_label("Code à usage unique").fill(format_hotp_value(hotp_value(totp, int(time.time()) // 30)))
    follow(page.locator("main").get_by_role("button").first)
    expect(page).to_have_url(re.compile("/admin/$"))
    page.wait_for_load_state("networkidle")
    manage(demo, "break_glass", "remove", name)
    # Django's own pages name no icon: the browser looks for one.
    screen.complaints = [said for said in screen.complaints if "/favicon.ico" not in said]
