"""The desk in real Chromium: each page of a decision on a screen and on a phone, under axe, and by the keyboard."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Screen
from tests.browser.test_identity import DESK, LEAD, PHONE, enter, manage
from tests.browser.test_journey import accessible, follow
from tests.demonstration import Demo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demonstration")]

# Requests in each situation that a decision has a page for, of communes that nobody of the demonstration belongs to.
SITUATIONS = """
import json, os
from onboarding.intake import checklist, workflow
from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Organization
from tests.factories.accounts import MembershipFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory, NameChoiceFactory, ProposalFactory

lead = User.objects.get(operator_roles__role="lead", operator_roles__operator__national=True)
anct = lead.operator_roles.get().operator
other = User.objects.filter(operator_roles__role="instructor", operator_roles__operator__national=True).first()
cantal = Organization.objects.filter(kind="commune", department_id="15", population__lt=900, closed_on=None)
free = cantal.filter(dossiers=None)
communes = iter(free.order_by("pk")[:20])
taken = Dossier.objects.count()

def made(**known):
    commune = next(communes)
    known.setdefault("reference", f"D-2098-{taken + next(numbers):05d}")
    known.setdefault("operator", anct)
    return DossierFactory.create(organization=commune, **known)

numbers = iter(range(1, 99))
review = {"in_review": True, "assignee": lead}
plain = made(**review)
MembershipFactory.create(user=plain.author, organization=plain.organization)
MailboxRequestFactory.create(dossier=plain, shared=True)
NameChoiceFactory.create(dossier=plain, rank=1, typed=f"mairie-{plain.names.get(rank=0).fqdn}")
twin = made(sent=True)
twin.names.update(fqdn=plain.names.get(rank=0).fqdn, skeleton=plain.names.get(rank=0).skeleton)
sensitive = made(storage_gb=25, allocation_reason="Archives du cadastre.", **review)
waiting = made(second_approval=True, assignee=other, storage_gb=25, allocation_reason="Archives du cadastre.")
ProposalFactory.create(dossier=waiting)
rejected = made(rejected=True, assignee=other)
approved = made(approved=True, assignee=other)
revoking = made(approved=True, assignee=other)
ProposalFactory.create(dossier=revoking, revocation=True, proposer=other)
back = made(**review)
many = [made(sent=True) for _ in range(3)]
for one in (plain, sensitive, waiting):
    checklist.refresh(one)
found = dict(plain=plain, twin=twin, sensitive=sensitive, waiting=waiting, rejected=rejected, approved=approved,
             revoking=revoking, back=back)
print("FACTS", json.dumps({name: str(one.pk) for name, one in found.items()}))
"""


@pytest.fixture
def facts(demo: Demo) -> dict[str, str]:
    """Make the situations anew, and return the key of each request."""
    told: dict[str, str] = json.loads(manage(demo, "shell", "-c", SITUATIONS).rpartition("FACTS ")[2])
    return told


def seen(page: Page, *, scripts: bool, width: dict[str, Any]) -> None:
    """Look at a page: one title, nothing sideways, nothing serious for axe."""
    expect(page.locator("h1")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{page.url} at {width['width']}"
    if scripts:
        accessible(page)


def reach(page: Page, target: Locator) -> None:
    """Go to an element by the Tab key alone; it must be seen to have the focus."""
    element = target.element_handle()
    assert element is not None
    for _ in range(250):
        page.keyboard.press("Tab")
        if element.evaluate("one => one === document.activeElement"):
            style = element.evaluate(
                "one => { const s = getComputedStyle(one), b = one.nextElementSibling && getComputedStyle("
                "one.nextElementSibling, '::before'); return [s.outlineStyle, b ? b.outlineStyle : 'none'] }"
            )
            assert set(style) != {"none"}, f"no visible focus on {target}"
            return
    raise AssertionError(f"{target} is out of the keyboard's reach on {page.url}")


def press(page: Page, target: Locator) -> None:
    """Press a link or a button found by the keyboard, and wait for the page that answers."""
    reach(page, target)
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [DESK, PHONE], ids=["screen", "phone"])
def test_each_page_of_a_decision(screen: Screen, scripts: bool, width: dict[str, Any], facts: dict[str, str]) -> None:  # noqa: FBT001
    page = screen.page
    page.set_viewport_size(width)  # type: ignore[arg-type] # the two keys it wants
    enter(page, screen.base, "/instruction/", LEAD)

    def go(path: str) -> None:
        page.goto(screen.base + path)
        seen(page, scripts=scripts, width=width)

    for path in (
        "/instruction/", "/instruction/?statut=submitted", "/instruction/charge/", "/instruction/absences/",
        f"/instruction/{facts['plain']}/", f"/instruction/{facts['plain']}/proches/",
        f"/instruction/{facts['plain']}/comparer/?avec={facts['twin']}", f"/instruction/{facts['plain']}/doublon/",
        f"/instruction/{facts['plain']}/refuser/", f"/instruction/{facts['plain']}/confier/",
        f"/instruction/{facts['plain']}/echanges/", f"/instruction/{facts['sensitive']}/",
        f"/instruction/{facts['sensitive']}/proposer/", f"/instruction/{facts['waiting']}/",
        f"/instruction/{facts['waiting']}/confirmer/", f"/instruction/{facts['rejected']}/rouvrir/",
        f"/instruction/{facts['approved']}/proposer-l-annulation/", f"/instruction/{facts['revoking']}/annuler/",
    ):  # fmt: skip
        go(path)

    # A doubt set aside, a name asked of the commune: forms of the dossier's own page.
    go(f"/instruction/{facts['plain']}/")
    doubt = page.locator("details", has_text="Écarter ce doute").first
    doubt.locator("summary").click()
    seen(page, scripts=scripts, width=width)
    doubt.get_by_label("Pourquoi").fill("Vérifié par téléphone avec la mairie.")
    follow(doubt.get_by_role("button", name="Écarter ce doute"))
    expect(page.get_by_text("Vérifié par téléphone avec la mairie.").first).to_be_visible()
    follow(page.get_by_role("button", name=re.compile("Proposer ce nom à la commune")).first)
    seen(page, scripts=scripts, width=width)
    expect(page.get_by_text("invitée à dire")).to_be_visible()

    # A correction about one mailbox: an error, then the preview of the letter, then sent.
    go(f"/instruction/{facts['back']}/demander-des-corrections/")
    follow(page.get_by_role("button", name="Voir le message avant l’envoi"))
    expect(page).to_have_title(re.compile(r"^\s*Erreur"))
    seen(page, scripts=scripts, width=width)
    page.get_by_label("La liste des boîtes est à corriger", exact=True).check(force=True)
    reason = page.locator("details", has_text="La liste des boîtes est à corriger").first
    reason.locator("summary").click()
    reason.get_by_label(re.compile("^Boîte 1")).check(force=True)
    seen(page, scripts=scripts, width=width)
    follow(page.get_by_role("button", name="Voir le message avant l’envoi"))
    expect(page.get_by_text(re.compile("la boîte «"))).to_be_visible()
    seen(page, scripts=scripts, width=width)
    follow(page.get_by_role("button", name="Renvoyer pour correction"))
    seen(page, scripts=scripts, width=width)

    # Several at once: chosen, previewed, done.
    go("/instruction/?statut=submitted&departement=15")
    for box in page.locator("input[name=dossier]").all():
        box.check(force=True)
    page.locator("select[name=acte]").select_option("take")
    follow(page.get_by_role("button", name="Voir ce qui se passerait"))
    seen(page, scripts=scripts, width=width)
    follow(page.get_by_role("button", name=re.compile("^Confirmer pour")))
    seen(page, scripts=scripts, width=width)
    expect(page.get_by_role("heading", name=re.compile("ce qui a été fait"))).to_be_visible()


@pytest.mark.parametrize("width", [DESK, PHONE], ids=["screen", "phone"])
def test_a_decision_by_the_keyboard_alone(
    screen: Screen,
    scripts: bool,  # noqa: FBT001 - a fixture's value
    width: dict[str, Any],
    facts: dict[str, str],
) -> None:
    page = screen.page
    page.set_viewport_size(width)  # type: ignore[arg-type] # idem
    enter(page, screen.base, f"/instruction/{facts['plain']}/", LEAD)
    press(page, page.get_by_role("link", name="Refuser", exact=True))
    box = page.get_by_label("Usage étranger au service public")
    reach(page, box)
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    reach(page, page.get_by_label("Message à la commune"))
    page.keyboard.type("Cette demande n’est pas d’un service public.")
    press(page, page.get_by_role("button", name="Voir le message avant l’envoi"))
    expect(page.get_by_text("Cette demande n’est pas d’un service public.").first).to_be_visible()
    press(page, page.get_by_role("button", name=re.compile("^Refuser")))
    expect(page.get_by_text("est refusée").first).to_be_visible()
    # A table wider than a phone is scrolled by the arrows.
    page.goto(f"{screen.base}/instruction/{facts['sensitive']}/comparer/?avec={facts['plain']}")
    frame = page.get_by_role("region", name="Les deux demandes, point par point")
    reach(page, frame)
    assert scripts is not None
    wide = frame.evaluate("one => one.scrollWidth > one.clientWidth")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert not wide or frame.evaluate("one => one.scrollLeft > 0")
