"""What is read in a message from outside: pure, so that a thousand forms cost nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.notices import reading


def read(raw: bytes) -> reading.Facts:
    facts = reading.read(raw, ours="suite.example")
    assert facts is not None
    return facts


@given(st.binary(max_size=3000))
def test_any_bytes_are_facts_or_nothing(raw: bytes) -> None:
    facts = reading.read(raw, ours="suite.example")
    assert facts is None or "\x00" not in facts.text


@given(st.text(max_size=500), st.sampled_from(["From", "Message-ID", "Content-Type", "Auto-Submitted", "Precedence"]))
def test_any_header_is_read_without_an_accident(value: str, name: str) -> None:
    raw = f"{name}: {value}\r\n\r\nBonjour.".encode("utf-8", "surrogatepass")
    facts = reading.read(raw, ours="suite.example")
    assert facts is None or facts.author == facts.author.lower()


@pytest.mark.parametrize(
    ("value", "author"),
    [
        ("Camille <camille@c.example>", "camille@c.example"),
        ("camille@C.Example", "camille@c.example"),
        ('"Dupont, Camille" <camille@c.example>', "camille@c.example"),
        ("=?utf-8?q?H=C3=A9l=C3=A8ne?= <h@c.example>", "h@c.example"),
        ("Mairie (56) <h@c.example>", "h@c.example"),
        ("a@c.example, b@c.example", ""),
        ("a@c.example <b@c.example>", ""),
        ('"a@c.example" <b@c.example>', "b@c.example"),
        ("<a@c.example> <b@c.example>", ""),
        ("a@c.example <b@c.example", ""),
        ("nobody", ""),
    ],
)
def test_the_author_is_one_address_or_nobody(value: str, author: str) -> None:
    assert read(f"From: {value}\r\n\r\nBonjour.".encode()).author == author


@pytest.mark.parametrize(
    "quoted",
    [
        "Le lundi 23 novembre 2026 à 10:00, La Suite territoriale\n<ne-pas@suite.example> a écrit :\n> Avant jeudi ?",
        "Le 23/11/2026 à 10:00, La Suite a écrit\u00a0:\n> Avant jeudi ?\n>\n> Merci",
        "On Mon, Nov 23, 2026 at 10:00 AM La Suite <x@suite.example> wrote:\n> Avant jeudi ?",
        "-----Message d'origine-----\nDe : La Suite\nAvant jeudi ?",
        "________________________________\nDe : La Suite\nEnvoyé : lundi\nAvant jeudi ?",
        "De : La Suite <x@suite.example>\nEnvoyé : lundi 23 novembre 2026 10:00\nÀ : Camille\n\nAvant jeudi ?",
        "> Avant jeudi ?\n> Merci",
        "-- \nCamille Dupont\nMairie",
        "Envoyé de mon iPhone",
    ],
)
def test_what_is_quoted_is_left_below(quoted: str) -> None:
    assert reading.trim(f"Oui, avant jeudi.\n\nLe maire est d’accord.\n\n{quoted}\n") == (
        "Oui, avant jeudi.\n\nLe maire est d’accord."
    )


@pytest.mark.parametrize(
    "text",
    [
        "Le maire a écrit au préfet.\nIl attend sa réponse.",
        "Le conseil se réunit jeudi.\nDe : rien n’est décidé.",
        "> seulement une citation",
        "-- \nseulement une signature",
        "Merci.",
    ],
)
def test_a_sentence_that_looks_like_a_quote_stays(text: str) -> None:
    assert reading.trim(text) == text


def test_an_answer_between_the_lines_keeps_its_own_words() -> None:
    assert reading.trim("> Avant jeudi ?\nOui.\n> Avec qui ?\nCamille.") == "Oui.\nCamille."


def test_a_page_s_script_and_style_are_not_words() -> None:
    assert reading.words_of("<style>p{}</style><p>Oui&nbsp;!</p><script>x</script>") == "Oui !"


def test_a_hundred_thousand_open_tags_end() -> None:
    assert reading.words_of("<div>" * 100_000 + "Oui") == "Oui"
