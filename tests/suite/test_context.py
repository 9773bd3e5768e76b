"""The menu: few lines for everybody, everything one may open in it, and where one is."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from suite.accounts.models import OperatorRole, User
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.house import TEMPLATES, nothing

pytestmark = pytest.mark.django_db
MOST = 6  # on one line at 1280 px
STAFF_PAGES = {
    "eligibility:home", "intake:list", "accounts:teams", "desk:queue", "provisioning:blocked", "agreements:follow",
    "analytics:pilot", "trade:index", "accounts:staff", "accounts:relinks", "accounts:administrators",
    "accounts:people",
}  # fmt: skip
COMMUNE_PAGES = {"eligibility:home", "intake:list", "accounts:teams", "agreements:list"}


def lead() -> User:
    """Return a lead of the national operator, who may open all there is."""
    operator = OperatorFactory.create(national_one=True)
    return OperatorRoleFactory.create(operator=operator, role=OperatorRole.Role.LEAD).user


def menu(client: Client, url: str) -> tuple[list[str], list[str]]:
    """Return where the lines of the menu lead on a page, and those of the group one is in."""
    text = client.get(url).content.decode()
    lines = re.findall(r'<a class="fr-nav__link"\s+href="([^"]+)"', text)
    inside = re.search(r'<ul class="suite-inside">(.*?)</ul>', text, re.DOTALL)
    return lines, re.findall(r'href="([^"]+)"', inside[1]) if inside else []


def current(client: Client, url: str) -> list[str]:
    """Return the pages that the menu says one is on."""
    header = client.get(url).content.decode().partition("</header>")[0]
    return re.findall(r'href="([^"]+)"\s+aria-current="page"', header)


class TestMenu:
    def test_a_lead_finds_every_page_in_a_few_lines(self) -> None:
        client = Client()
        client.force_login(lead())
        lines, _ = menu(client, "/")
        assert len(lines) <= MOST
        found = set(lines)
        for line in lines:
            found |= set(menu(client, line)[1])
        assert found == {reverse(name) for name in STAFF_PAGES}

    @pytest.mark.parametrize("name", sorted(STAFF_PAGES))
    def test_it_says_where_one_is_and_shows_what_is_beside(self, name: str) -> None:
        client = Client()
        client.force_login(lead())
        url = reverse(name)
        assert current(client, url) == [url]

    def test_a_page_inside_a_page_is_in_its_group(self) -> None:
        client = Client()
        client.force_login(lead())
        text = client.get("/instruction/charge/").content.decode().partition("</header>")[0]
        assert re.search(r'href="/instruction/"\s+aria-current="true"', text)
        assert "À reprendre" in text

    def test_a_reader_is_offered_what_a_reader_may_open(self) -> None:
        client = Client()
        operator = OperatorFactory.create()
        client.force_login(OperatorRoleFactory.create(operator=operator, role=OperatorRole.Role.READER).user)
        lines, _ = menu(client, "/")
        for line in lines:
            assert client.get(line).status_code == 200
            assert all(client.get(url).status_code == 200 for url in menu(client, line)[1])

    def test_a_town_hall_has_a_flat_menu(self) -> None:
        client = Client()
        client.force_login(MembershipFactory.create().user)
        assert set(menu(client, "/")[0]) == {reverse(name) for name in COMMUNE_PAGES}
        assert menu(client, reverse("intake:list"))[1] == []

    def test_a_visitor_may_search(self) -> None:
        assert menu(Client(), "/")[0] == ["/"]

    def test_somebody_without_a_right_has_the_menu_of_a_town_hall(self) -> None:
        client = Client()
        client.force_login(UserFactory.create())
        assert len(menu(client, "/")[0]) == len(COMMUNE_PAGES)


def test_a_table_that_scrolls_on_a_phone_is_reached_by_the_keyboard_and_named() -> None:
    """What axe calls scrollable-region-focusable, held for the tables that no browser test opens."""
    wrong = [
        f"{path.relative_to(TEMPLATES)}: {tag}"
        for path in sorted(TEMPLATES.rglob("*.html"))
        if "provisioning" not in path.parts  # drawn anew by the stream that owns them
        for tag in re.findall(r'<[a-z]+\s+class="[^"]*(?:fr-table__container|suite-scroll)[^>]*>', path.read_text())
        if not all(part in tag for part in ('tabindex="0"', 'role="region"', "aria-label"))
    ]
    nothing(wrong, "Give each tabindex=0, role=region and a name.")
