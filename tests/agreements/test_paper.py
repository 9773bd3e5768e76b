"""The PDF holds the whole text, and the stamp of its acceptance."""

import re
import zlib
from base64 import a85decode

import pytest

from onboarding.agreements import paper, texts
from onboarding.agreements.models import Acceptance
from suite.accounts.mandates import Mandate
from suite.accounts.models import User
from suite.directory.models import Organization
from tests.agreements.test_workflow import accepted
from tests.factories.agreements import TextFactory

pytestmark = pytest.mark.django_db


def words(content: bytes) -> str:
    """Return the words drawn on the pages of a PDF of reportlab's."""
    out = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        drawn = zlib.decompress(
            a85decode(stream.strip(), adobe=False)
            if b"~>" not in stream
            else a85decode(stream.strip().removesuffix(b"~>"))
        )
        out += re.findall(rb"\(((?:[^()\\]|\\.)*)\)\s*Tj", drawn)
    text = b" ".join(out).decode("latin-1")
    return re.sub(r"\\(\d{3})", lambda found: bytes([int(found[1], 8)]).decode("cp1252"), text)


def test_a_text_is_drawn_whole_with_its_digest() -> None:
    text = TextFactory.create(body="## Titre\n\nUn **mot** & <b>autre</b>.\n\n- point\n\n1. premier")
    said = words(paper.pdf(text)).replace(" ", "")

    for word in ("Titre", "mot", "<b>autre</b>", "point", "premier", text.digest):
        assert word in said


def test_the_prices_say_free_in_so_many_words() -> None:
    assert "Gratuit" in words(paper.pdf(texts.in_force(None)[0]))


def test_the_stamp_names_who_for_whom_with_which_mandate(commune: Organization, manager: User) -> None:
    acceptance = accepted(commune, manager)[1]
    said = words(paper.pdf(acceptance.text, paper.Stamp.of(acceptance)))

    for word in ("Sainte-Essai", manager.usual_name, "Maire", "M2", str(acceptance.pk), acceptance.digest):
        assert word in said


def test_a_weak_convention_says_that_it_waits(commune: Organization, secretary: User) -> None:
    acceptance = accepted(commune, secretary, Mandate.ATTACHED)[1]

    assert "attente de confirmation" in words(paper.pdf(acceptance.text, paper.Stamp.of(acceptance)))


def test_an_erased_name_leaves_the_acceptance(commune: Organization, manager: User) -> None:
    acceptance = accepted(commune, manager)[0]
    acceptance.signatory.delete()
    found = Acceptance.objects.get(pk=acceptance.pk)
    said = words(paper.pdf(found.text, paper.Stamp.of(found)))

    assert manager.usual_name not in said
    assert acceptance.digest in said
