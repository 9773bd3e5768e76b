"""Messages sorted into one mbox file per folder (RFC 4155, « mboxrd » quoting), a message in memory at a time."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_OPEN_MAX = 64  # files open at once; a mailbox with more folders appends to the others by name


def entry(raw: bytes) -> bytes:
    """Return a message as mbox holds it: lines that would look like the next one's first are quoted."""
    body = _FROM.sub(rb">\1", raw.replace(b"\r\n", b"\n"))
    return b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n" + body + (b"\n" if body.endswith(b"\n") else b"\n\n")


@contextmanager
def sorted_out(messages: Iterable[tuple[str, bytes]], beside: Path) -> Iterator[list[tuple[str, int, Path]]]:
    """Write the messages by folder in files that live as long as the block: (folder, messages, path), by folder."""
    with tempfile.TemporaryDirectory(dir=beside, prefix="mbox-") as place, ExitStack() as opened:
        files: dict[str, tuple[Path, IO[bytes] | None]] = {}
        counts: dict[str, int] = {}
        for folder, raw in messages:
            if folder not in files:
                path = Path(place) / f"{len(files)}.mbox"
                kept: IO[bytes] | None = opened.enter_context(path.open("ab")) if len(files) < _OPEN_MAX else None
                files[folder], counts[folder] = (path, kept), 0
            path, sink = files[folder]
            if sink is not None:
                sink.write(entry(raw))
            else:
                with path.open("ab") as file:
                    file.write(entry(raw))
            counts[folder] += 1
        for _, sink in files.values():
            if sink is not None:
                sink.flush()
        yield [(folder, counts[folder], files[folder][0]) for folder in sorted(files)]
