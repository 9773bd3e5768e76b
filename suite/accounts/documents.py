"""Written mandates: believed for what they contain, kept where no web server looks, under names that say nothing."""

import hashlib
import io
import secrets
import warnings
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from PIL import Image, UnidentifiedImageError

from suite.accounts.mandate_models import Document

LARGEST = 5 * 1024 * 1024
_PIXELS = 50_000_000
# What makes a PDF act by itself, or carry something else inside.
_ACTIVE = (b"/JavaScript", b"/JS ", b"/JS(", b"/Launch", b"/EmbeddedFile", b"/RichMedia", b"/XFA", b"/OpenAction")
_TYPES = {
    Document.Kind.PDF: "application/pdf",
    Document.Kind.JPEG: "image/jpeg",
    Document.Kind.PNG: "image/png",
}


class DocumentRefused(Exception):
    """The file is not one that we take; the French sentence says why, and what to send instead."""


@dataclass(frozen=True)
class Checked:
    """A file that was looked into: `content` is what is kept, `sha256` the digest of what was handed in."""

    kind: Document.Kind
    content: bytes
    sha256: str


def inspect(content: bytes) -> Checked:
    """Return the file as it will be kept: a PDF as it is, an image drawn anew. Raises DocumentRefused."""
    if not content:
        raise DocumentRefused("Ce fichier est vide.")
    if len(content) > LARGEST:
        raise DocumentRefused("Ce fichier dépasse 5 Mo : numérisez-le en moins grand.")
    sha256 = hashlib.sha256(content).hexdigest()
    if content.startswith(b"%PDF-"):
        return Checked(Document.Kind.PDF, _pdf(content), sha256)
    kind, drawn = _image(content)
    return Checked(kind, drawn, sha256)


def _pdf(content: bytes) -> bytes:
    tail = content.rstrip(b"\r\n \t\0")
    if not tail.endswith(b"%%EOF"):
        raise DocumentRefused(
            "Ce fichier commence comme un PDF mais n’en est pas un entier : enregistrez-le à nouveau."
        )
    if b"/Encrypt" in content:
        raise DocumentRefused("Ce PDF est protégé par un mot de passe : enregistrez-le sans protection.")
    if any(word in content for word in _ACTIVE):
        raise DocumentRefused(
            "Ce PDF contient du code ou un fichier joint : imprimez-le en PDF, puis déposez la copie."
        )
    return content


def _image(content: bytes) -> tuple[Document.Kind, bytes]:
    """Decode the whole image and write it again: what hides after it, or in its metadata, is left behind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as image:
                if image.width * image.height > _PIXELS:
                    raise DocumentRefused("Cette image est trop grande : numérisez-la à 300 points par pouce au plus.")
                kind = Document.Kind.PNG if image.format == "PNG" else Document.Kind.JPEG
                drawn = io.BytesIO()
                plain = image.convert("RGB" if kind == Document.Kind.JPEG else "RGBA")
                plain.save(drawn, "PNG" if kind == Document.Kind.PNG else "JPEG")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise DocumentRefused(
            "Ce fichier n’est ni un PDF, ni une image JPEG ou PNG, quel que soit son nom : déposez l’un des trois."
        ) from error
    return kind, drawn.getvalue()


def store(checked: Checked) -> str:
    """Write the file under a random name, readable by the site only; `sweep` erases what no row names."""
    folder = Path(settings.DOCUMENTS_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = secrets.token_hex(16)
    path = folder / name
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(checked.content)
    return name


def read(document: Document) -> bytes | None:
    """Return the kept content, None when it was erased."""
    if not document.stored_name:
        return None
    try:
        return (Path(settings.DOCUMENTS_DIR) / document.stored_name).read_bytes()
    except FileNotFoundError:
        return None


def content_type(document: Document) -> str:
    """Return the type to announce, from what the content was found to be."""
    return _TYPES[Document.Kind(document.kind)]


def erase_on_commit(name: str) -> None:
    """Remove a file once the transaction that forgets it holds."""
    transaction.on_commit(lambda: erase(name))


def erase(name: str) -> None:
    """Remove a file; one that is gone is no error."""
    (Path(settings.DOCUMENTS_DIR) / name).unlink(missing_ok=True)
