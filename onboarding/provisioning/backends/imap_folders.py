"""The folders of an old mailbox: their names there, in modified UTF-7, and the ones they have here. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass

FOLDERS_MAX = 2_000
_LISTED = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?P<delimiter>\\?.)"|NIL) (?P<name>.*)\Z', re.DOTALL)
# What is not a folder of its own: it shows again the messages of the others.
_VIRTUAL = {b"\\noselect", b"\\nonexistent", b"\\all", b"\\flagged", b"\\important"}
_ROLES = {b"\\sent": "Sent", b"\\drafts": "Drafts", b"\\archive": "Archive", b"\\trash": "Trash", b"\\junk": "Junk"}
BINS = frozenset({"Trash", "Junk"})


@dataclass(frozen=True)
class Folder:
    """A folder: `source` is its name there, byte for byte; `target` the name it has here, "/" between levels."""

    source: bytes
    target: str


def quoted(name: bytes) -> bytes:
    """Return a folder's name as a quoted string."""
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def decoded(name: bytes) -> str:
    """Return a folder's name from modified UTF-7 (RFC 3501, 5.1.3); what is not stays as it reads."""
    try:
        return re.sub(r"&([^-]*)-", _shifted, name.decode("ascii"))
    except (UnicodeDecodeError, binascii.Error, ValueError):
        return name.decode("utf-8", "replace")


def _shifted(part: re.Match[str]) -> str:
    if not part[1]:
        return "&"
    data = part[1].replace(",", "/")
    return base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode("utf-16-be")


def folder_of(line: object, prefix: bytes) -> Folder | None:
    """Read one line of LIST; its name may be quoted, bare, or a literal."""
    literal = isinstance(line, tuple)
    head = line[0] if isinstance(line, tuple) else line
    found = _LISTED.match(head) if isinstance(head, bytes) else None
    if found is None:
        return None
    name = found["name"]
    if isinstance(line, tuple):
        name = bytes(line[1])
    elif name.startswith(b'"') and name.endswith(b'"'):
        name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
    flags = {flag.lower() for flag in found["flags"].split()}
    if not name or flags & _VIRTUAL or (literal and re.search(rb"[\x00\r\n]", name)):
        return None
    role = next((_ROLES[flag] for flag in flags if flag in _ROLES), "")
    return Folder(name, role or target_of(name, (found["delimiter"] or b"")[-1:], prefix))


def target_of(name: bytes, delimiter: bytes, prefix: bytes = b"") -> str:
    """Return the name a folder has here: levels separated by "/", nothing that a file system or a client would read."""
    if name.upper() == b"INBOX":
        return "INBOX"
    if prefix and name.startswith(prefix) and len(name) > len(prefix):
        name = name[len(prefix) :]
    levels = name.split(delimiter) if delimiter else [name]
    words = []
    for level in levels:
        text = "".join(char if char.isprintable() else "-" for char in decoded(level))
        text = re.sub(r"[/\\*%]", "-", text).strip(" .")[:80]
        if text:
            words.append(text)
    if words and words[0].upper() == "INBOX":
        words[0] = "INBOX"
    return "/".join(words[:8])[:255] or "Sans nom"
