"""The letter of a code by post, as a PDF: one page each, the address where a windowed envelope shows it.

The place follows the French layout (NF Z 11-001): the addressee's block starts 110 mm from the left edge and 50 mm from
the top, within the window of a DL or C5 envelope once the sheet is folded in three.
"""

import datetime as dt
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.utils.formats import date_format
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Frame, Paragraph

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.5, leading=15, spaceAfter=9)
_CODE = ParagraphStyle("code", fontName="Courier-Bold", fontSize=22, leading=30, alignment=TA_CENTER, spaceAfter=9)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=9, leading=12.5)
_LINE = 5 * mm
_WIDTH = 85 * mm  # what the window shows
_SMALLEST = 6.0
_LONGEST_LINE = 38  # characters of one line of an address, per the post's rule


# What the standard fonts lack and no decomposition gives.
_PLAIN = str.maketrans({"\u202f": "\u00a0", "\u2011": "-", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "ı": "i"})


@dataclass(frozen=True)
class Paper:
    """What one letter says. `reference` is "" when the person has an account and types the code signed in."""

    addressee: str
    lines: tuple[str, ...]
    organization: str
    asked_by: str
    asked_on: dt.date
    reference: str
    code: str
    days: int
    enter_url: str
    objection_url: str


def merged(papers: Iterable[Paper], *, today: dt.date) -> bytes:
    """Return one PDF with a page per letter, in order."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, lang="fr-FR")
    canvas.setTitle("Courriers d’habilitation")
    canvas.setCreator(settings.SITE_NAME)
    for paper in papers:
        _page(canvas, paper, today)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _page(canvas: Canvas, paper: Paper, today: dt.date) -> None:
    _, height = A4
    sender = [*settings.LETTER_SENDER.split("|"), settings.CONTACT_EMAIL]
    _lines(canvas, sender, x=20 * mm, y=height - 20 * mm, bold_first=True)
    if not settings.OFFICIAL_SITE:
        canvas.setFont("Helvetica-Bold", 9)
        canvas.drawString(20 * mm, height - 45 * mm, "DÉMONSTRATION : n’engage personne")
    *above, place = paper.lines
    address = [*(row for line in (paper.addressee, *above) for row in _folded(line)), place]
    _lines(canvas, address, x=110 * mm, y=height - 54 * mm, bold_first=True)
    canvas.setFont("Helvetica", 10.5)
    dated = f"{settings.LETTER_PLACE}, le {date_format(today, 'j F Y')}"
    canvas.drawString(110 * mm, height - 95 * mm, printable(dated))
    # The fold marks of a sheet folded in three.
    canvas.setLineWidth(0.3)
    for mark in (99, 198):
        canvas.line(4 * mm, height - mark * mm, 8 * mm, height - mark * mm)
    frame = Frame(20 * mm, 18 * mm, 170 * mm, height - 118 * mm, leftPadding=0, rightPadding=0, showBoundary=0)
    story = _story(paper)
    frame.addFromList(story, canvas)
    if story:  # what a page cannot hold would be lost in silence
        raise ValueError("The letter is longer than its page.")


def _story(paper: Paper) -> list[Flowable]:
    said = {name: _escaped(str(value)) for name, value in vars(paper).items()}
    asked_on = date_format(paper.asked_on, "j F Y")
    reference = f" Référence de la demande : <b>{said['reference']}</b>." if paper.reference else ""
    how = (
        f"ouvrez la page <b>{said['enter_url']}</b>, puis saisissez la référence et ce code :"
        if paper.reference
        else f"remettez ce code à la personne nommée ci-dessus, si vous la connaissez et si elle agit pour vous. Elle "
        f"le saisira sur la page <b>{said['enter_url']}</b> :"
    )
    asked = (
        f"Le {asked_on}, <b>{said['asked_by']}</b> a demandé à agir au nom de {said['organization']} sur "
        f"{_escaped(settings.SITE_NAME)}, pour obtenir un nom de domaine, des boîtes aux lettres et un espace de "
        "stockage. Ce courrier, envoyé à l’adresse que publie l’annuaire de l’administration, vérifie que la mairie "
        "est au courant."
    )
    unknown = (
        "<b>Vous ne connaissez pas cette demande ?</b> Dites-le nous : elle sera aussitôt bloquée et une personne de "
        f"notre équipe l’examinera. Ouvrez cette page, ou écrivez à {_escaped(settings.CONTACT_EMAIL)} :<br/>"
        f"<b>{said['objection_url']}</b>"
    )
    never = (
        "Nous ne vous demanderons jamais de mot de passe. Ce courrier est produit automatiquement ; il est sans "
        "signature."
    )
    texts = [
        (f"<b>Objet : une personne demande à agir au nom de {said['organization']}</b>.{reference}", _BODY),
        ("Madame, Monsieur,", _BODY),
        (asked, _BODY),
        (f"Si cette demande est bien la vôtre, {how}", _BODY),
        (said["code"], _CODE),
        (f"Ce code sert une fois et vaut {paper.days} jours. Ne le communiquez pas par téléphone.", _BODY),
        (unknown, _BODY),
        (never, _SMALL),
    ]
    return [Paragraph(printable(text), style) for text, style in texts]


def _lines(canvas: Canvas, lines: Iterable[str], *, x: float, y: float, bold_first: bool) -> None:
    for index, line in enumerate(lines):
        font, size, said = "Helvetica-Bold" if bold_first and not index else "Helvetica", 10.5, printable(line)
        while canvas.stringWidth(said, font, size) > _WIDTH and size > _SMALLEST:
            size -= 0.5
        canvas.setFont(font, size)
        canvas.drawString(x, y - index * _LINE, said)


def _folded(line: str) -> list[str]:
    """Cut a line of address at a blank, so that it stays within the window."""
    rows = [""]
    for word in line.split():
        if rows[-1] and len(rows[-1]) + 1 + len(word) > _LONGEST_LINE:
            rows.append(word)
        else:
            rows[-1] = f"{rows[-1]} {word}".strip()
    return rows


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def printable(text: str) -> str:
    """Return the text in the characters of the standard PDF fonts: a letter they lack loses its accent."""
    out = []
    for character in text.translate(_PLAIN):
        try:
            character.encode("cp1252")
            out.append(character)
        except UnicodeEncodeError:
            plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
            out.append(plain or "?")
    return "".join(out)
