"""The sheet that carries a link to whoever has no other address: to be folded in three, closed, and handed over.

The link is within the part that folding hides; outside stands only to whom it goes. It holds no password.
"""

import io
from html import escape

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.renderPDF import draw
from reportlab.graphics.shapes import Drawing
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from onboarding.provisioning.access_workflow import Issued
from onboarding.provisioning.models import Resource
from suite.accounts.letters import printable

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.5, leading=15)
_LINK = ParagraphStyle("link", parent=_BODY, fontName="Courier", fontSize=9, leading=12, splitLongWords=True)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=15, leading=20)
_LEFT, _WIDTH, _FOLD = 20 * mm, 170 * mm, 99 * mm
_CODE = 32 * mm


def printed(issued: Issued, resource: Resource) -> bytes:
    """Return the sheet as a PDF of one page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, lang="fr-FR")
    canvas.setTitle("Premier accès")
    canvas.setCreator(settings.SITE_NAME)
    _, height = A4
    who = escape(str(resource.desired.get("display_name") or resource.key))
    until = date_format(timezone.localtime(issued.link.expires_at), "j F Y à H:i")
    outside = [
        (f"À remettre en main propre à : {who}", _TITLE),
        (
            "Pliez cette feuille en trois sur les traits, agrafez-la, et remettez-la fermée à cette personne seule.",
            _BODY,
        ),
        ("Une feuille ouverte ne vaut plus rien : demandez un nouveau lien.", _BODY),
    ]
    inside = [
        (f"Votre premier accès à la boîte {escape(resource.key)}", _TITLE),
        (f"Ouvrez cette adresse avant le {until}. Elle ne sert qu’une fois.", _BODY),
        (escape(issued.url), _LINK),
        (
            "Aucun mot de passe n’est sur cette feuille. Changez celui que vous recevrez à votre première connexion.",
            _BODY,
        ),
    ]
    canvas.setLineWidth(0.3)
    for fold in (_FOLD, 2 * _FOLD):
        canvas.line(4 * mm, height - fold, 206 * mm, height - fold)
    _column(canvas, outside, top=height - 25 * mm)
    _column(canvas, inside, top=height - _FOLD - 12 * mm)
    _qr(canvas, issued.url, x=_LEFT, y=height - 2 * _FOLD + 6 * mm)
    if not settings.OFFICIAL_SITE:
        canvas.setFont("Helvetica-Bold", 9)
        canvas.drawString(_LEFT, height - 15 * mm, "DÉMONSTRATION : n’engage personne")
    canvas.save()
    return buffer.getvalue()


def _column(canvas: Canvas, texts: list[tuple[str, ParagraphStyle]], *, top: float) -> None:
    for text, style in texts:
        paragraph = Paragraph(printable(text), style)
        _, tall = paragraph.wrap(_WIDTH, _FOLD)
        top -= tall
        paragraph.drawOn(canvas, _LEFT, top)
        top -= 3 * mm


def _qr(canvas: Canvas, url: str, *, x: float, y: float) -> None:
    widget = QrCodeWidget(url)
    left, bottom, right, top = widget.getBounds()
    drawing = Drawing(_CODE, _CODE, transform=[_CODE / (right - left), 0, 0, _CODE / (top - bottom), 0, 0])
    drawing.add(widget)
    draw(drawing, canvas, x, y)
