"""A text as a PDF, with the stamp of its acceptance where there is one."""

import datetime as dt
import io
from dataclasses import dataclass
from html import escape

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from onboarding.agreements import markup
from onboarding.agreements.models import Acceptance, Text
from onboarding.agreements.templatetags.agreements import euros
from onboarding.agreements.texts import is_firm
from suite.accounts.letters import printable
from suite.accounts.mandates import Mandate

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10, leading=14.5, spaceAfter=6)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=17, leading=22, spaceAfter=6)
_H2 = ParagraphStyle("h2", parent=_BODY, fontName="Helvetica-Bold", fontSize=12.5, leading=17, spaceBefore=8)
_H3 = ParagraphStyle("h3", parent=_H2, fontSize=11, leading=15)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=8.5, leading=11.5)
_ITEM = ParagraphStyle("item", parent=_BODY, leftIndent=14, bulletIndent=3, spaceAfter=3)
_INK = HexColor("#000091")
_GREY = HexColor("#dddddd")


@dataclass(frozen=True)
class Stamp:
    """What an acceptance says of itself: who, as what, for whom, when, and how well it was proved."""

    organization: str
    operator: str
    name: str
    function: str
    at: dt.datetime
    mandate: str
    firm: str
    number: str

    @classmethod
    def of(cls, acceptance: Acceptance) -> "Stamp":
        """Read the stamp of an acceptance; what was erased is said to be."""
        signatory = getattr(acceptance, "signatory", None)
        level = Mandate(acceptance.mandate)
        confirmation = getattr(acceptance, "confirmation", None)
        firm = ""
        if not is_firm(acceptance):
            firm = "En attente de confirmation par l’opérateur, ou d’une habilitation de niveau M2."
        elif confirmation is not None:
            firm = f"Confirmée par l’opérateur le {date_format(timezone.localtime(confirmation.at), 'j F Y')}."
        return cls(
            organization=acceptance.organization.name,
            operator=acceptance.operator.name if acceptance.operator else settings.SITE_NAME,
            name=(signatory.name if signatory else "") or "Nom effacé",
            function=signatory.function if signatory else "",
            at=acceptance.accepted_at,
            mandate=f"{level.code} ({level.label})",
            firm=firm,
            number=str(acceptance.pk),
        )


def pdf(text: Text, stamp: Stamp | None = None) -> bytes:
    """Return the PDF of a text; with a stamp, that of its acceptance."""
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=22 * mm,
        bottomMargin=24 * mm,
        title=printable(text.title),
        author=printable(settings.SITE_NAME),
        lang="fr-FR",
    )

    def foot(canvas: Canvas, _: object) -> None:
        canvas.setFont("Helvetica", 7.5)
        canvas.drawString(22 * mm, 13 * mm, printable(f"{settings.SITE_NAME} – {text.title}, {text.version}"))
        canvas.drawRightString(188 * mm, 13 * mm, f"page {canvas.getPageNumber()}")
        canvas.drawString(22 * mm, 9 * mm, f"SHA-256 : {text.digest or 'brouillon'}")

    document.build(_story(text, stamp), onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


def _story(text: Text, stamp: Stamp | None) -> list[Flowable]:
    dated = f", en vigueur le {date_format(text.effective_on, 'j F Y')}" if text.effective_on else ""
    owner = text.operator.name if text.operator else "Modèle national"
    story: list[Flowable] = [
        _paragraph(text.title, _TITLE),
        _paragraph(f"{owner}, {text.version}{dated}.", _SMALL),
    ]
    if text.model_text:
        story.append(_paragraph("Modèle à valider par le service juridique.", _SMALL))
    if not settings.OFFICIAL_SITE:
        story.append(_paragraph("DÉMONSTRATION : n’engage personne.", _SMALL))
    story.append(Spacer(1, 4 * mm))
    if stamp is not None:
        story += [_stamp(stamp), Spacer(1, 5 * mm)]
    lines = list(text.prices.all())
    if lines:
        story += [_prices(text), Spacer(1, 4 * mm)]
    for block in markup.blocks(text.body):
        if block.tag in {"ul", "ol"}:
            for index, line in enumerate(block.lines, 1):
                mark = "•" if block.tag == "ul" else f"{index}."
                story.append(Paragraph(_spans(line), _ITEM, bulletText=mark))
        else:
            style = {"h2": _H2, "h3": _H3}.get(block.tag, _BODY)
            story.append(Paragraph(" ".join(_spans(line) for line in block.lines), style))
    return story


def _prices(text: Text) -> Table:
    rows = [[_paragraph(word, _SMALL) for word in ("Ce qui est fourni", "Par qui", "Prix")]]
    for line in text.prices.all():
        price = f"{euros(line.amount)} {line.get_unit_display()}" if line.amount else "Gratuit"
        label = f"{line.label} ({line.note})" if line.note else line.label
        rows.append([_paragraph(word, _SMALL) for word in (label, line.get_payer_display(), price)])
    table = Table(rows, colWidths=[86 * mm, 36 * mm, 44 * mm], repeatRows=1)
    table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.4, _GREY), ("VALIGN", (0, 0), (-1, -1), "TOP")]))
    return table


def _stamp(stamp: Stamp) -> Flowable:
    at = timezone.localtime(stamp.at)
    function = f", {stamp.function}" if stamp.function else ""
    lines = [
        f"<b>Accepté au nom de {escape(stamp.organization)}</b>, avec {escape(stamp.operator)}",
        f"par {escape(stamp.name)}{escape(function)}",
        f"le {date_format(at, 'j F Y')} à {date_format(at, 'H:i')} ({at.tzname()})",
        f"Habilitation : {escape(stamp.mandate)}. {escape(stamp.firm)}",
        f"Acceptation n° {stamp.number}",
    ]
    cell = [Paragraph(printable(line), _SMALL) for line in lines]
    table = Table([[cell]], colWidths=[166 * mm])
    table.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 1.2, _INK)]))
    return KeepTogether([table])


def _paragraph(words: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(printable(escape(words)), style)


def _spans(line: str) -> str:
    return printable(markup.spans(line, bold="b", italic="i"))
