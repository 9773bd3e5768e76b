"""Every message the site can send, rendered with people who do not exist, and looked at as its reader would."""

import re
from html import unescape
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from suite import previews
from suite.previews import Preview

ALL = {f"{one.kind}/{one.case}" if one.case else one.kind: one for one in previews.previews()}
# Whom the law lets one turn to.
ELSEWHERE = ("https://www.cnil.fr/",)
URL = re.compile(r"https?://[^\s<>\"«»]+")


@pytest.fixture(params=sorted(ALL))
def message(request: pytest.FixtureRequest) -> Preview:
    return ALL[request.param]


class Page(HTMLParser):
    """The addresses of a page, and what makes a request of its own."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.remote: list[str] = []
        self.language = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = known.get("lang", "")
        if tag == "a":
            self.links.append(known.get("href", ""))
        self.remote += [
            f"{tag} {name}" for name in ("src", "srcset", "background", "onclick", "action") if name in known
        ]
        if tag in {"script", "form", "iframe", "link", "img", "object"}:
            self.remote.append(tag)


def words(html: str) -> str:
    body = re.sub(r"<(style|title)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return blanks(unescape(re.sub(r"<[^>]+>", " ", body)))


def blanks(text: str) -> str:
    # Ordinary blanks only: a no-break space is part of the text.
    return re.sub(r" ([.,)])", r"\1", re.sub(r"[ \n\t]+", " ", text)).strip()


def test_every_kind_is_there() -> None:
    assert {one.kind for one in ALL.values()} == set(previews.kinds())


def test_no_variable_is_missing(message: Preview) -> None:
    for part in (message.subject, message.text, message.html):
        assert "⟦" not in part, "add the sample to suite/previews.py"
        assert "{{" not in part
        assert "None" not in words(part)


def test_the_subject_is_one_line_that_a_list_shows(message: Preview) -> None:
    assert message.subject
    assert "\n" not in message.subject
    assert len(message.subject) <= 120
    assert "&" not in message.subject.replace(" & ", "")


def test_text_and_page_say_the_same(message: Preview) -> None:
    page = words(message.html)
    head = message.text.partition("\n-- \n")[0]
    missing = [
        line
        for raw in head.splitlines()
        if (line := blanks(raw.strip().removeprefix("- ")))
        and not URL.search(line)
        and not line.startswith("[Démonstration")
        and line not in page
    ]
    assert not missing, f"in the text and not in the page: {missing}"


def test_both_lead_to_the_same_places(message: Preview) -> None:
    links = {link for link in Page(message.html).links if not link.startswith("mailto:")}
    told = {found.rstrip(".,") for found in URL.findall(message.text)}
    assert {link.rstrip("/") for link in links} == {link.rstrip("/") for link in told}


def test_every_link_is_whole_and_ours(message: Preview, settings: Settings) -> None:
    for link in Page(message.html).links:
        assert link.startswith((f"{settings.PUBLIC_BASE_URL}/", "mailto:", *ELSEWHERE)), link


def test_the_page_asks_nothing_of_anybody_and_speaks_french(message: Preview) -> None:
    page = Page(message.html)
    assert page.remote == []
    assert page.language == "fr"


def test_the_type_is_set_as_french_is(message: Preview) -> None:
    for part in (message.subject, message.text.partition("\n-- \n")[0], words(message.html)):
        text = URL.sub("", part)
        assert not re.search(r"\w'\w", text), "’ for '"
        assert not re.search(r"(?<=\w) [:;?!»](?=\s|$)", text), "a no-break space before"
        assert not re.search(r"« (?=\w)", text), "a no-break space after «"
        assert "..." not in text


def test_it_says_that_it_is_a_demonstration_and_whom_to_write_to(message: Preview) -> None:
    for body in (message.text, message.html):
        assert "Démonstration" in body
        assert "contact@suite.example" in body


def test_no_secret_is_in_it(message: Preview, settings: Settings) -> None:
    for part in (message.subject, message.text, message.html):
        assert settings.SECRET_KEY not in part
        assert not re.search(r"mot de passe\s*:\s*\S", part, re.IGNORECASE)


def test_who_may_answer_is_not_told_not_to() -> None:
    answered, other = ALL["thread_message"], ALL["dossier_taken"]
    assert "merci de ne pas y répondre" not in answered.text + answered.html
    assert "merci de ne pas y répondre" in other.text
    assert "merci de ne pas y répondre" in other.html


def test_words_of_others_are_words_in_the_page() -> None:
    assert "<du conseil>" in ALL["thread_message"].text
    assert "&lt;du conseil&gt;" in ALL["thread_message"].html


class TestCommand:
    def test_it_writes_a_text_and_a_page_for_each(self, tmp_path: Path) -> None:
        said = StringIO()
        call_command("notices", preview=tmp_path / "all", stdout=said)
        names = {path.name for path in (tmp_path / "all").iterdir()}
        assert {"dossier_taken.txt", "dossier_taken.html", "thread_message-edited.html"} <= names
        assert len(names) == 2 * len(ALL)
        assert f"{len(ALL)} messages" in said.getvalue()

    @pytest.mark.django_db
    def test_without_a_folder_it_counts_the_ledger(self) -> None:
        said = StringIO()
        call_command("notices", stdout=said)
        assert '"inbound_waiting": 0' in said.getvalue()
