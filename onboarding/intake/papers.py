"""A dossier as its requester takes it away: a PDF, for a person and its archives."""

import io
from collections.abc import Iterable
from xml.sax.saxutils import escape

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Table, TableStyle

from onboarding.intake.history import history
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import summary
from suite.accounts.letters import printable

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13, spaceAfter=4, splitLongWords=1)
_HEAD = ParagraphStyle("head", parent=_BODY, fontName="Helvetica-Bold")
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=16, leading=21, spaceAfter=8)
_SECTION = ParagraphStyle("section", parent=_HEAD, fontSize=12, leading=16, spaceBefore=10, spaceAfter=5)
_GRID = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, colors.grey),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
)
WIDTH = 174 * mm


def pdf(dossier: Dossier) -> bytes:
    """Return the dossier on A4 pages: what it asks, where it stands, what happened."""
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=18 * mm,
        bottomMargin=20 * mm,
        title=f"Demande {dossier.reference}",
        author=settings.SITE_NAME,
        lang="fr-FR",
    )
    document.build(list(_story(dossier)), onFirstPage=_foot, onLaterPages=_foot)
    return buffer.getvalue()


def _story(dossier: Dossier) -> Iterable[Flowable]:
    yield _text(f"Demande {dossier.reference}, {dossier.organization.name}", _TITLE)
    if not settings.OFFICIAL_SITE:
        yield _text("DÉMONSTRATION : n’engage personne.", _HEAD)
    yield _text(f"État : {dossier.get_status_display()}, au {date_format(timezone.localtime(), 'j F Y, H:i')}.")
    if dossier.operator:
        yield _text(f"Instruite par : {dossier.operator.name}.")
    for number, title, lines in summary(dossier):
        heading = _text(f"{number}. {title}", _SECTION)
        if lines:
            table = Table(
                [[_text(label, _HEAD), _text(value or "À compléter")] for label, value in lines], [55 * mm, None]
            )
            table.setStyle(_GRID)
            yield KeepTogether([heading, table])
            continue
        yield heading
        yield from _mailboxes(dossier)
    yield _text("Historique", _SECTION)
    for entry in history(dossier, for_staff=False):
        parts = [f"{date_format(timezone.localtime(entry.at), 'j F Y, H:i')} : {entry.label}, {entry.who}."]
        parts += [f"Motif : {reason}." for reason in entry.reasons]
        parts += [entry.comment] if entry.comment else []
        yield _text("\n".join(parts))


def _mailboxes(dossier: Dossier) -> Iterable[Flowable]:
    rows = [[_text(title, _HEAD) for title in ("Adresse", "Type", "Pour", "Secours ou destinations")]]
    for row in dossier.mailboxes.all():
        kind = f"{row.get_kind_display()}{', administre' if row.administrator else ''}"
        who = f"{row.given_name} {row.family_name}".strip()
        rows.append(
            [
                _text(f"{row.local_part or 'à compléter'}@"),
                _text(kind),
                _text(", ".join(part for part in (who, row.function) if part)),
                _text(" ".join(part for part in (row.recovery_email, row.targets) if part)),
            ]
        )
    table = Table(rows, [45 * mm, 30 * mm, 45 * mm, WIDTH - 120 * mm], repeatRows=1)
    table.setStyle(_GRID)
    yield table


def _text(words: str, style: ParagraphStyle = _BODY) -> Paragraph:
    """Return a paragraph of what anybody may have typed: never read as markup."""
    return Paragraph(escape(printable(words)).replace("\n", "<br/>"), style)


def _foot(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawString(18 * mm, 12 * mm, printable(f"{settings.SITE_NAME}, {settings.CONTACT_EMAIL}"))
    canvas.drawRightString(192 * mm, 12 * mm, f"Page {document.page}")
