"""Tables that people hand in, CSV, ODS or XLSX, as lists of texts. What a file is, its content says, not its name."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from onboarding.intake import sheets

LARGEST = 500_000  # bytes handed in
LARGEST_INSIDE = 20_000_000  # bytes once decompressed
MOST_PARTS = 200
DELIMITERS = ";\t,"
ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Unreadable(Exception):
    """The file is refused; `str()` is a French sentence with the remedy."""


def read(data: bytes) -> list[list[str]]:
    """Return the rows up to the last that says something, blank ones empty. Raises Unreadable."""
    if not data.strip():
        raise Unreadable("Ce fichier est vide.")
    if len(data) > LARGEST:
        raise Unreadable(f"Ce fichier est trop lourd : {LARGEST // 1000} ko au plus.")
    rows = _sheet(data) if data.startswith(b"PK") else _csv(data)
    if len(rows) > sheets.ROWS:
        raise Unreadable(f"Ce tableau est trop long : {sheets.ROWS - 1} lignes au plus, titres compris.")
    if not rows:
        raise Unreadable("Ce tableau est vide.")
    return rows


# --- ODS and XLSX -----------------------------------------------------------------------------------------------------


def _sheet(data: bytes) -> list[list[str]]:
    _inspect(data)
    try:
        done = subprocess.run(  # noqa: S603 - our own program, without a shell
            [sys.executable, "-I", str(Path(sheets.__file__))],
            input=data,
            capture_output=True,
            timeout=2 * sheets.SECONDS,
            check=True,
        )
        rows: list[list[str]] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise Unreadable(
            "Ce classeur n’a pas pu être lu : il est abîmé, protégé ou trop grand. Enregistrez sa première feuille en "
            "CSV, ou recopiez-la dans un classeur neuf."
        ) from error
    return [[_clean(cell) for cell in row] for row in rows]


def _inspect(data: bytes) -> None:
    """Refuse what is no table, and what swells: the archive is decompressed once here, within bounds, for its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            said = _wrong(archive)
    except Exception as error:
        # What a stranger's archive makes the decompressors raise (zlib, lzma, struct...) has no common name.
        raise Unreadable("Ce classeur est abîmé, ou protégé par un mot de passe.") from error
    if said:
        raise Unreadable(said)


def _wrong(archive: zipfile.ZipFile) -> str:
    """Return why the archive is not a table to read, "" when it is."""
    parts = archive.infolist()
    names = {part.filename for part in parts}
    if len(parts) > MOST_PARTS:
        return "Ce classeur contient trop d’éléments : gardez sa première feuille seulement."
    left, kind = LARGEST_INSIDE, b""
    for part in parts:
        with archive.open(part) as stream:
            while block := stream.read(65_536):
                left -= len(block)
                kind = kind or block[:100] if part.filename == "mimetype" else kind
                if left < 0:
                    return "Ce classeur est trop grand une fois décompressé : allégez-le."
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        return "Ce classeur contient des macros : enregistrez-le sans macros, en .xlsx."
    if kind.strip() != ODS and not {"xl/workbook.xml", "[Content_Types].xml"} <= names:
        return "Ce fichier n’est pas un tableau : il nous faut un fichier CSV, ODS ou XLSX."
    return ""


# --- CSV --------------------------------------------------------------------------------------------------------------


def _csv(data: bytes) -> list[list[str]]:
    text = _decoded(data)
    if _CONTROL.search(text):
        raise Unreadable("Ce fichier n’est pas un tableau : il nous faut un fichier CSV, ODS ou XLSX.")
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=(.)\s*", first.strip(), re.IGNORECASE):  # a line that Excel writes for itself
        first, text = rest.partition("\n")[0], rest
    delimiter = max(DELIMITERS, key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return sheets.bounded([_clean(cell[: sheets.CELL]) for cell in row[: sheets.COLUMNS]] for row in reader)
    except csv.Error as error:
        raise Unreadable(
            "Ce fichier CSV n’a pas pu être lu : un guillemet y est sans doute mal fermé. Enregistrez-le à nouveau "
            "depuis votre tableur."
        ) from error


def _decoded(data: bytes) -> str:
    """Return the text, whatever a French spreadsheet wrote it in: UTF-8, « Texte Unicode », or Windows' own."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in data:
        encodings = []
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("Ce fichier n’est pas un tableau : il nous faut un fichier CSV, ODS ou XLSX.")


def _clean(cell: str) -> str:
    """Return a cell without the blanks around it; a tab or a return at its head is kept, to be seen and refused."""
    head = cell[:1] if cell[:1] in {"\t", "\r"} else ""
    return head + _CONTROL.sub("", cell).strip(" \u00a0\u202f\n\r\t")
