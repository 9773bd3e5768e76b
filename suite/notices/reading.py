"""What a message from outside says, read without believing it: bounce or answer, by whom, in which words, with what.

Pure: bytes in, facts out. Headers lie about charsets, nest without end and decode to nothing; whatever cannot be read
is None, never an exception.
"""

import re
from dataclasses import dataclass
from email import policy
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from html.parser import HTMLParser

from flufl.bounce import all_failures

MOST_PARTS = 100
MOST_FILES = 10
LONGEST_TEXT = 50_000
# Names of charsets that mean more than they say.
_CHARSETS = {
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "unknown-8bit": "utf-8",
}
# One address, bare or after a name; stricter than the standard library, whose reading of a forged one varies.
_ADDRESS = r"([^<>@\s,;\"]+@[^<>@\s,;\"]+)"
_FROM = re.compile(rf'\s*(?:"(?:[^"\\]|\\.)*"|[^"<>,;@]*)\s*<\s*{_ADDRESS}\s*>\s*|\s*{_ADDRESS}\s*')
_OURS = re.compile(r"<([0-9a-f-]{36})@([^<>\s]+)>")
_CODE = re.compile(r"^\s*([45]\.\d{1,3}\.\d{1,3})")


@dataclass(frozen=True)
class File:
    """What is attached, under the name its sender gave it."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Facts:
    """`author` is the only address of From, in small letters, "" when there is not exactly one."""

    author: str
    message_id: str
    automatic: bool
    loop: bool
    permanent: bool
    temporary: bool
    code: str
    text: str
    files: tuple[File, ...]


def read(raw: bytes, *, ours: str) -> Facts | None:
    """Return what the message says; `ours` is the domain of our own Message-IDs. None when it cannot be read."""
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(raw)
        parts = _parts(message)
        temporary, permanent = all_failures(message)
        return Facts(
            author=_author(message),
            message_id=_header(message, "Message-ID")[:300],
            automatic=_automatic(message),
            loop=_loops(message, ours),
            permanent=bool(permanent),
            temporary=bool(temporary),
            code=_status(parts),
            text=_text(parts),
            files=_files(parts),
        )
    except Exception:  # noqa: BLE001 - the standard parser and a dozen formats of bounces, on hostile bytes
        return None


def _parts(message: Message) -> list[Message]:
    """Return the leaves, in order, without recursion; too many of them is a bomb."""
    found: list[Message] = []
    stack = [message]
    while stack:
        part = stack.pop()
        content = part.get_payload()
        if part.is_multipart() and isinstance(content, list):
            stack.extend(reversed([one for one in content if isinstance(one, Message)]))
        else:
            found.append(part)
        if len(found) + len(stack) > MOST_PARTS:
            raise ValueError("too many parts")
    return found


def _header(message: Message, name: str) -> str:
    value = message.get(name)
    if value is None:
        return ""
    try:
        return " ".join(str(make_header(decode_header(str(value)))).split())
    except (LookupError, UnicodeError, ValueError):
        return " ".join(str(value).encode("ascii", "replace").decode().split())


def _author(message: Message) -> str:
    values = message.get_all("From") or []
    if len(values) != 1:
        return ""
    found = _FROM.fullmatch(str(values[0])[:1000])
    return (found[1] or found[2]).lower() if found else ""


def _automatic(message: Message) -> bool:
    """Whether a program wrote it (RFC 3834, and what came before it)."""
    submitted = _header(message, "Auto-Submitted").lower().partition(";")[0].strip()
    return (
        submitted not in {"", "no"}
        or _header(message, "Precedence").lower() in {"bulk", "junk", "list", "auto_reply"}
        or any(message.get(name) is not None for name in ("X-Autoreply", "X-Autorespond", "List-Id", "X-Loop"))
        or message.get_content_type() in {"multipart/report", "message/delivery-status"}
    )


def _loops(message: Message, ours: str) -> bool:
    found = _OURS.fullmatch(_header(message, "Message-ID"))
    return bool(found and found[2].lower() == ours)


def _status(parts: list[Message]) -> str:
    """Return the code of a bounce, ready to be told: its words may quote addresses, a code does not."""
    for part in parts:
        if found := _CODE.match(_header(part, "Status")):
            return f" ({found[1]})"
    return ""


# --- Words ------------------------------------------------------------------------------------------------------------


def _text(parts: list[Message]) -> str:
    """Return what the person wrote: the plain part, or the words of the HTML one when it stands alone."""
    for kind, convert in (("text/plain", str), ("text/html", words_of)):
        for part in parts:
            if part.get_content_type() == kind and not _is_file(part):
                text = convert(_decoded(part))
                if text.strip():
                    return clean(text)
    return ""


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        charset = (part.get_content_charset() or "utf-8").lower()
    except (LookupError, UnicodeError):
        charset = "utf-8"
    for name in (_CHARSETS.get(charset, charset), "utf-8", "cp1252"):
        try:
            return content.decode(name)
        except (LookupError, UnicodeError):
            continue
    return content.decode("latin-1")


def clean(text: str) -> str:
    """Return the text with ends of lines of one kind, without what no text holds, cut to what is kept."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(one for one in text if one in "\n\t" or one.isprintable()).strip()[:LONGEST_TEXT]


class _Words(HTMLParser):
    """Keeps the words, and the ends of what stands as a block."""

    BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "hr"})
    SILENT = frozenset({"script", "style", "head", "title", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.silent = 0
        self.quoted = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Open a silence, a quotation or a line."""
        if tag in self.SILENT:
            self.silent += 1
        elif tag == "blockquote":
            self.quoted += 1
            self._end_line()
        elif tag in self.BLOCKS:
            self._end_line()

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if tag in self.SILENT:
            self.silent = max(0, self.silent - 1)
        elif tag == "blockquote":
            self.quoted = max(0, self.quoted - 1)
            self._end_line()
        elif tag in self.BLOCKS:
            self._end_line()

    def handle_data(self, data: str) -> None:
        """Keep words; those of a quotation are marked as mail does."""
        if not self.silent:
            self.pieces.append(re.sub(r"\s+", " ", data))

    def _end_line(self) -> None:
        self.pieces.append("\n> " if self.quoted else "\n")


def words_of(html: str) -> str:
    """Return the words of a page, a line for each block, quotations after « > »."""
    parser = _Words()
    parser.feed(html)
    parser.close()
    return re.sub(r"\n\s*\n(\s*\n)+", "\n\n", "".join(parser.pieces)).strip()


_QUOTES = (
    # « Le 3 mars 2026 à 10:12, Camille a écrit : », on one line or two.
    re.compile(
        r"^(Le|On) (?=[^\n]*\d)[^\n]{3,200}?(\n(?!Le |On )[^\n]{0,200}?)?(a écrit|wrote)\s?:[ \t]*$", re.MULTILINE
    ),
    re.compile(r"^-{2,}\s*(Message d.origine|Message transféré|Original Message|Forwarded message)", re.MULTILINE),
    re.compile(r"^_{10,}\s*$", re.MULTILINE),
    # Outlook's block: « De : », then « Envoyé : » or « Date : ».
    re.compile(r"^\s*\*?(De|From)\s?:.{1,200}\n\s*\*?(Envoyé|Date|Sent)( le)?\s?:", re.MULTILINE),
    re.compile(r"^-- $", re.MULTILINE),
    re.compile(r"^(Envoyé de mon|Sent from my) .{1,60}$", re.MULTILINE),
)


def trim(text: str) -> str:
    """Return what was written anew, without what is quoted below; the whole when nothing else is left."""
    kept = text
    for quote in _QUOTES:
        if found := quote.search(kept):
            kept = kept[: found.start()]
    lines = kept.rstrip().split("\n")
    while lines and (lines[-1].startswith(">") or not lines[-1].strip()):
        lines.pop()
    answer = "\n".join(line for line in lines if not line.startswith(">")).strip()
    return answer or text


# --- Files ------------------------------------------------------------------------------------------------------------


def _is_file(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_name(part))


def _name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except (LookupError, UnicodeError, ValueError, TypeError):
        return "fichier"
    return "".join(one for one in _decoded_name(name) if one.isprintable()).replace("/", "-").replace("\\", "-")[-100:]


def _decoded_name(name: str) -> str:
    try:
        return str(make_header(decode_header(name)))
    except (LookupError, UnicodeError, ValueError):
        return name


def _files(parts: list[Message]) -> tuple[File, ...]:
    """Return what is attached, the images of a signature left out: those are shown inside the text."""
    found = []
    for part in parts:
        inside = part.get("Content-ID") is not None and part.get_content_disposition() != "attachment"
        if (_is_file(part) or part.get_content_type() == "application/pdf") and not inside:
            payload = part.get_payload(decode=True)
            content = payload if isinstance(payload, bytes) else b""
            found.append(File(_name(part) or "fichier", content))
    return tuple(found[:MOST_FILES])
