"""R40. Half of upstream's accessibility scan met pages that do not exist. Ours is built from the URLconf.

It starts at every address that needs no identifier, and follows links to find real things for the others. A page that
answers anything but 200, or that turns out to be the sign-in page, fails the scan; so does an address never reached.
"""

from collections import deque
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve, reverse
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

from suite.accounts.permissions import ADDRESSES
from tests.browser.test_journey import (
    DECLARATIONS,
    accessible,
    fill_mailboxes,
    fill_name,
    fill_requester,
    fill_storage,
    follow,
)
from tests.demonstration import Demo
from tests.house import BY_NAME

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demonstration")]

SECRETARY = "Secrétaire de mairie, Rochefort-en-Terre"
# The secretary first: she sends the request that the operator's pages are then about.
PEOPLE = (SECRETARY, "Responsable à l’ANCT")
# Addresses that are no page, or that lead elsewhere by their nature.
NO_PAGE = {
    "healthz", "readyz", "admin:*", "analytics:pilot_csv", "analytics:activity_csv", "provisioning:progress",
    "oidc_authentication_init", "oidc_authentication_callback", "account_logout", "mfa_authenticate",
    "account_reauthenticate", "mfa_reauthenticate", "accounts:admin_login", "accounts:admin_password",
    "accounts:logged_out", "accounts:login", "account_login",
}  # fmt: skip
# Pages that need a situation which the demonstration is not in: a waiting person, a letter, a refused proof, a block,
# a draft, a text being written, a decision to propose or to undo, a domain in use, a suite that closes.
# The walk of roles (tests/accounts/test_permissions.py) opens them all about things that exist.
NEEDS_A_SITUATION = {
    "accounts:answer", "intake:invitation", "accounts:invite", "accounts:invitation", "accounts:join",
    "accounts:relink",
    "accounts:mandate_confirm",
    "accounts:mandate_object", "accounts:mandate_objection", "accounts:mandate_proof", "intake:take_over",
    "intake:stand", "provisioning:skip", "trade:operator_version", "desk:approve", "desk:reject", "desk:assign",
    "desk:request_changes", "intake:step", "intake:withdraw", "accounts:member", "accounts:mandate_detail",
    "accounts:account", "accounts:administrator", "accounts:administrator_ask", "accounts:administrator_object",
    "agreements:confirm", "agreements:edit", "agreements:publish", "desk:bulk_act", "desk:compare", "desk:confirm",
    "desk:duplicate", "desk:erase", "desk:propose", "desk:propose_revocation", "desk:reopen", "desk:revoke",
    "intake:answer_join", "intake:edit_message", "intake:name_proof", "intake:name_status", "intake:preview",
    "intake:template", "intake:upload",
    "provisioning:ready", "provisioning:abandon", "provisioning:cause", "provisioning:done", "provisioning:answer_more",
    "provisioning:ask_more", "provisioning:cutover", "provisioning:import_detail", "provisioning:plan_cutover",
    "provisioning:preview_deletions", "provisioning:renewal", "provisioning:start_import", "provisioning:waive_copy",
}  # fmt: skip
# Opened and scanned, as the journey goes, by `test_journey.py`.
IN_THE_JOURNEY = {"desk:detail", "provisioning:detail", "intake:detail", "intake:new"}
# Where to start what nothing links to without a search.
STARTS = ["/instruction/?statut=approved", "/collectivites/56196/", "/reglages/delays/versions/0/"]
WANTED = {name for name, address in ADDRESSES.items() if address.get} - NO_PAGE


def name_of(path: str) -> str | None:
    try:
        return resolve(path).view_name
    except Resolver404:
        return None


def scan(page: Page, base: str, known: set[str], more: list[str]) -> dict[str, str]:
    """Open one page of each address that this person reaches; return their addresses. `known` passed axe already."""
    plain = [
        reverse(name)
        for name in sorted(WANTED - NEEDS_A_SITUATION - IN_THE_JOURNEY)
        if not BY_NAME[name].pattern.converters
    ]
    queue, seen = deque([*more, *plain]), dict[str, str]()
    while queue:
        path = queue.popleft()
        name = name_of(urlsplit(path).path)
        if name is None or name in seen or name not in WANTED:
            continue
        try:
            answer = page.goto(base + path)
        except PlaywrightError as error:
            # A file, not a page: it came, and there is nothing to scan.
            if "Download is starting" not in str(error):
                raise
            seen[name] = path
            continue
        assert answer is not None
        if answer.status == 403:  # not this person's page: somebody else's scan must open it
            continue
        assert answer.status == 200, f"{name}: {path} answers {answer.status}"
        # Whoever has one team is led to it; nobody is led to the sign-in page.
        landed = name_of(urlsplit(page.url).path)
        assert landed in WANTED, f"{name}: {path} leads to {page.url}"
        if landed not in known | set(seen):
            accessible(page)
        seen |= {name: path, landed: path}
        links = page.eval_on_selector_all("a[href^='/']", "links => links.map(link => link.getAttribute('href'))")
        queue.extend(links)
    return seen


def send_a_request(page: Page, base: str) -> None:
    """Ask for the commune of the secretary, and hand the dossier in."""
    page.goto(f"{base}/collectivites/56196/")
    follow(page.get_by_role("link", name="Faire une demande").first)
    follow(page.get_by_role("button", name="Commencer la demande"))
    for fill in (fill_requester, fill_name, fill_mailboxes, fill_storage):
        fill(page)
        follow(page.get_by_role("button", name="Enregistrer et continuer").last)
    for declaration in DECLARATIONS:
        page.get_by_label(declaration).check(force=True)
    follow(page.get_by_role("button", name="Transmettre ma demande"))


def test_r40_every_address_of_the_urlconf_is_scanned_and_none_is_missing(chromium: Browser, demo: Demo) -> None:
    base = f"http://127.0.0.1:{demo.port}"
    assert demo.check()["ok"]  # there is a request, and what was built of it
    seen: dict[str, str] = {}
    for person in PEOPLE:
        context = chromium.new_context(locale="fr-FR")
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(f"{base}{reverse('intake:list')}")
        follow(page.get_by_role("link", name="S’identifier avec ProConnect"))
        follow(page.get_by_role("button", name=person).first)
        if person == SECRETARY:
            send_a_request(page, base)
        seen |= scan(page, base, set(seen), STARTS)
        context.close()
    missing = WANTED - set(seen) - NEEDS_A_SITUATION - IN_THE_JOURNEY
    assert not missing, "\n".join(sorted(missing))
    assert len(seen) > 25
