"""The whole journey in real Chromium, with scripts and without; every page under axe, an ear on the console."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Screen

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demonstration")]

# Small eligible communes that no persona belongs to, one per way of walking.
COMMUNES = {True: ("Langeac", "43112"), False: ("Férel", "56058")}
SIRENS = {"43112": "214301129", "56058": "215600586"}
OPERATOR = re.compile("Responsable à l’ANCT")
# What one declares before sending, as the labels begin.
DECLARATIONS = ("Je certifie que", "Je certifie être", "J’ai lu et j’accepte")


def accessible(page: Page) -> None:
    """Fail on anything axe finds serious; without scripts there is nothing to run it with."""
    found = [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert not found, f"{page.url}: {found}"


def look(page: Page, *, scripts: bool) -> None:
    expect(page.locator("h1")).to_have_count(1)
    expect(page.get_by_text("Démonstration", exact=True)).to_be_visible()
    if scripts:
        accessible(page)


def follow(target: Locator) -> None:
    """Click, and wait for the page that answers: it may have the same address as this one."""
    with target.page.expect_navigation():
        target.click()


def sign_in(page: Page, **person: str) -> None:
    follow(page.get_by_role("link", name="S’identifier avec ProConnect"))
    page.get_by_label("Prénom").fill(person["given_name"])
    page.get_by_label("Nom d’usage").fill(person["usual_name"])
    page.get_by_label("Adresse électronique").fill(person["email"])
    page.get_by_label("SIRET de l’organisation").fill(person["siret"])
    follow(page.get_by_role("button", name="Continuer"))


def test_r41_a_secretary_asks_an_operator_accepts_and_the_suite_comes_up(screen: Screen, scripts: bool) -> None:  # noqa: FBT001
    page = screen.open("/")
    ask(page, *COMMUNES[scripts], scripts=scripts)
    dossier = page.url.rstrip("/").rsplit("/", 1)[-1]
    accept(screen, dossier, scripts=scripts)
    page.reload()
    if scripts:  # it comes up by itself
        expect(page.locator("[data-deployment-status=live]")).to_be_visible(timeout=60_000)
    else:
        wait_by_refreshing(page)
    look(page, scripts=scripts)


def ask(page: Page, name: str, code: str, *, scripts: bool) -> None:
    """From the home page to the request sent."""
    look(page, scripts=scripts)
    page.get_by_role("searchbox").or_(page.get_by_role("combobox")).first.fill(name)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    if not page.url.endswith(f"/{code}/"):
        follow(page.get_by_role("link", name=re.compile(name)).first)
    look(page, scripts=scripts)
    follow(page.get_by_role("link", name="Faire une demande").first)
    look(page, scripts=scripts)
    email = f"mairie-{code}@navigateur.example"
    sign_in(page, given_name="Claude", usual_name="D’Arc", email=email, siret=SIRENS[code])
    follow(page.get_by_role("button", name="Commencer la demande"))
    for fill in (fill_requester, fill_name, fill_mailboxes, fill_storage):
        look(page, scripts=scripts)
        fill(page)
        follow(page.get_by_role("button", name="Enregistrer et continuer").last)
    look(page, scripts=scripts)
    for declaration in DECLARATIONS:
        page.get_by_label(declaration).check(force=True)
    follow(page.get_by_role("button", name="Transmettre ma demande"))
    look(page, scripts=scripts)


def fill_requester(page: Page) -> None:
    follow(page.get_by_role("button", name="Enregistrer et continuer").last)
    # Everything is missing: it is said, in the title too.
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\s*Erreur"))
    page.get_by_label("Prénom").fill("Claude")
    page.get_by_label("Nom", exact=True).fill("D’Arc")
    page.get_by_label("Fonction dans la collectivité").select_option("secretaire")
    page.get_by_label("Adresse électronique").fill("claude@navigateur.example")
    page.get_by_label("Téléphone").fill("01 02 03 04 05")


def fill_name(page: Page) -> None:
    page.get_by_label("gratuit sous collectivite.fr").check(force=True)
    follow(page.get_by_role("button", name=re.compile(r"^Utiliser .*\.collectivite\.fr")).first)


def fill_mailboxes(page: Page) -> None:
    follow(page.get_by_role("button", name="Mairie", exact=True))
    rows = page.locator("fieldset.suite-mailbox")
    for index in range(rows.count()):
        row = rows.nth(index)
        row.get_by_label("Adresse de secours").fill(f"secours-{index}@navigateur.example")
        if row.get_by_label("Type").input_value() == "personal":
            row.get_by_label("Prénom").fill("Claude")
            row.get_by_label("Nom", exact=True).fill("D’Arc")
            row.get_by_label("Administre les boîtes").check(force=True)


def fill_storage(page: Page) -> None:
    page.get_by_label("Stockage souhaité").fill("10")
    page.get_by_label("Fichiers").check(force=True)


def accept(screen: Screen, dossier: str, *, scripts: bool) -> None:
    """From the operator's sign-in to the decision."""
    desk = screen.another()
    desk.goto(f"{screen.base}/instruction/{dossier}/")
    follow(desk.get_by_role("link", name="S’identifier avec ProConnect"))
    follow(desk.get_by_role("button", name=OPERATOR).first)
    look(desk, scripts=scripts)
    follow(desk.get_by_role("button", name="M’attribuer cette demande"))
    look(desk, scripts=scripts)
    follow(desk.get_by_role("link", name="Accepter"))
    look(desk, scripts=scripts)
    desk.get_by_label("Ce que vous avez vérifié").fill("Appel à la mairie.")
    follow(desk.get_by_role("button", name="Voir le message avant l’envoi"))
    look(desk, scripts=scripts)
    follow(desk.get_by_role("button", name="Accepter la demande"))
    look(desk, scripts=scripts)


def wait_by_refreshing(page: Page) -> None:
    for _ in range(60):
        if page.locator("[data-deployment-status=live]").count():
            return
        page.wait_for_timeout(1000)
        page.reload()
    raise AssertionError("never in service")


PUBLIC = [
    "/",
    "/?q=saint",
    "/?q=zzzzzz",
    "/collectivites/38061/",
    "/collectivites/99999/",
    "/connexion/",
    "/mentions-legales/",
    "/accessibilite/",
    "/donnees-personnelles/",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_pages_are_accessible_and_never_wider_than_a_phone(screen: Screen, scripts: bool, path: str) -> None:  # noqa: FBT001
    screen.page.set_viewport_size({"width": 360, "height": 740})
    page = screen.open(path)
    look(page, scripts=scripts)
    if scripts:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"


def test_the_keyboard_reaches_the_content_first(screen: Screen) -> None:
    page = screen.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Contenu")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#content$"))
