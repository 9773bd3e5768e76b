"""No typed text becomes markup of its own."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from onboarding.agreements import markup

ALLOWED = {"h2", "h3", "h4", "p", "ul", "ol", "li", "strong", "em", "a"}


class Reader(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(markup.html(text))
    reader.close()
    return reader.seen


def test_headings_lists_bold_and_links_are_drawn() -> None:
    text = (
        "## Titre\n\nUn **mot** et *un autre*,\nsuite.\n\n- a\n- b\n  c\n\n1. un\n\n[lire](https://a.example/?x=1&y=2)"
    )

    assert markup.html(text) == (
        "<h2>Titre</h2>\n<p>Un <strong>mot</strong> et <em>un autre</em>, suite.</p>\n"
        "<ul><li>a</li><li>b c</li></ul>\n<ol><li>un</li></ol>\n"
        '<p><a href="https://a.example/?x=1&amp;y=2">lire</a></p>'
    )


def test_what_looks_like_html_is_shown_as_typed() -> None:
    assert markup.html('<script>alert("x")</script>') == ("<p>&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;</p>")


def test_only_the_web_and_mail_are_linked() -> None:
    assert tags("[x](javascript:alert(1)) [y](data:text/html,z) [z](//evil.example)") == [("p", {})]
    assert tags("[x](mailto:a@b.example)") == [("p", {}), ("a", {"href": "mailto:a@b.example"})]


PIECES = st.lists(
    st.sampled_from(
        ["**", "*", "[", "](", ")", "https://a.example", "<b>", "\"'", "## ", "- ", "1. ", "\n", "mot", "&"]
    ),
    max_size=30,
).map("".join)


@given(st.one_of(st.text(max_size=300), PIECES))
def test_nothing_but_the_few_known_tags_ever_comes_out(text: str) -> None:
    for tag, attributes in tags(text):
        assert tag in ALLOWED
        assert set(attributes) <= ({"href"} if tag == "a" else set())
        assert re.match(r"https://|mailto:", attributes.get("href") or "https://")
