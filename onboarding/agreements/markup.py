"""The small part of Markdown in which the texts are written: read once, drawn as HTML or as PDF. Pure.

Headings (`##`, `###`), paragraphs, lists (`- `, `1. `), **bold**, *italic*, [words](https://…). Anything else is
shown as it was typed: there is no way to write markup of one's own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

_HEADING = re.compile(r"(#{2,3})\s+(.*)")
_BULLET = re.compile(r"[-*]\s+(.*)")
_NUMBER = re.compile(r"\d{1,3}[.)]\s+(.*)")
# An address of the web or of mail, without a character that could end an attribute.
_SPAN = re.compile(
    r"\*\*(?P<bold>[^*\n]+)\*\*"
    r"|\*(?P<italic>[^*\s][^*\n]*)\*"
    r"|\[(?P<words>[^\]\n]{1,300})\]\((?P<url>(?:https://|mailto:)[^\s()<>\"']{1,500})\)"
)


@dataclass(frozen=True)
class Block:
    """A heading (`h2`, `h3`), a paragraph (`p`) or a list (`ul`, `ol`), with its lines as they were typed."""

    tag: str
    lines: tuple[str, ...]


def blocks(text: str) -> list[Block]:
    """Cut a text into its blocks, in order."""
    found: list[Block] = []
    lines: list[str] = []
    tag = ""

    def close() -> None:
        nonlocal tag, lines
        if lines:
            found.append(Block(tag, tuple(lines)))
        tag, lines = "", []

    for raw in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = raw.strip()
        if not line:
            close()
        elif heading := _HEADING.fullmatch(line):
            close()
            found.append(Block(f"h{len(heading[1])}", (heading[2],)))
        elif item := (_BULLET.fullmatch(line) or _NUMBER.fullmatch(line)):
            kind = "ul" if _BULLET.fullmatch(line) else "ol"
            if tag != kind:
                close()
                tag = kind
            lines.append(item[1])
        elif tag in {"ul", "ol"}:
            # The next line of an item.
            lines[-1] = f"{lines[-1]} {line}"
        else:
            tag = "p"
            lines.append(line)
    close()
    return found


def html(text: str, *, level: int = 2) -> str:
    """Return the text as HTML, escaped; `level` is that of the highest heading (2 to 4)."""
    return "\n".join(_block(block, level) for block in blocks(text))


def _block(block: Block, level: int) -> str:
    if block.tag in {"ul", "ol"}:
        return f"<{block.tag}>{''.join(f'<li>{spans(line)}</li>' for line in block.lines)}</{block.tag}>"
    if block.tag == "p":
        return f"<p>{' '.join(spans(line) for line in block.lines)}</p>"
    rank = min(level + int(block.tag[1]) - 2, 6)
    return f"<h{rank}>{spans(block.lines[0])}</h{rank}>"


def spans(line: str, *, bold: str = "strong", italic: str = "em") -> str:
    """Return one line with its bold, italic and links, everything else escaped."""
    return "".join(_spans(line, bold, italic))


def _spans(line: str, bold: str, italic: str) -> Iterable[str]:
    end = 0
    for found in _SPAN.finditer(line):
        yield escape(line[end : found.start()])
        if found["bold"]:
            yield f"<{bold}>{escape(found['bold'])}</{bold}>"
        elif found["italic"]:
            yield f"<{italic}>{escape(found['italic'])}</{italic}>"
        else:
            yield f'<a href="{escape(found["url"])}">{escape(found["words"])}</a>'
        end = found.end()
    yield escape(line[end:])
