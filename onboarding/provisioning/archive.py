"""A ZIP archive written part after part, that survives the death of its writer at any instant.

A ZIP ends with its list of contents, which the next part overwrites. So after each part that list is kept beside the
archive; whoever takes over cuts the archive where the last finished part ended, puts the list back, and goes on.
"""

import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

_CHUNK = 1 << 20
_LONGEST = 120
_FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # names that Windows keeps


class TooLargeError(Exception):
    """The archive would pass its bound."""


class Archive(AbstractContextManager["Archive"]):
    """An archive under way. `ended` is the number of bytes after the last finished part, 0 at the beginning."""

    def __init__(self, folder: Path, *, ended: int, most: int, alive: Callable[[], None]) -> None:
        self.folder, self.most, self._alive = folder, most, alive
        self.path = folder / "archive.zip"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if ended:
            # The list is cut off with what came after it, then put back.
            with self.path.open("r+b") as file:
                file.truncate(ended)
                file.seek(ended)
                file.write(self._tail(ended).read_bytes())
        else:
            self.path.unlink(missing_ok=True)
            self.path.touch(mode=0o600)
        self._zip = zipfile.ZipFile(self.path, "a", compression=zipfile.ZIP_DEFLATED, allowZip64=True)
        self._names = {info.filename.casefold() for info in self._zip.infolist()}
        self._rows: list[tuple[str, str, int, str]] = []

    def add(self, name: str, pieces: Iterable[bytes], *, told: str = "") -> int:
        """Write a file from its pieces, a piece in memory at a time; return its size. `told` is its name elsewhere."""
        info = zipfile.ZipInfo(self._free(name))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as file:
            for piece in pieces:
                for start in range(0, len(piece), _CHUNK):
                    chunk = piece[start : start + _CHUNK]
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                    if self.path.stat().st_size > self.most:
                        raise TooLargeError
                    self._alive()
        self._rows.append((info.filename, told or info.filename, size, digest.hexdigest()))
        return size

    def finish_part(self, position: int) -> int:
        """Make what was added durable, with its lines of the inventory; return where the archive now ends."""
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([_harmless(one) for one in row] for row in self._rows)
        _write(self.folder / f"inventory-{position}.csv", lines.getvalue().encode())
        self._rows.clear()
        ended = self._zip.start_dir
        self._zip.close()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            file.seek(ended)
            _write(self._tail(ended), file.read())
        self._zip = zipfile.ZipFile(self.path, "a", compression=zipfile.ZIP_DEFLATED, allowZip64=True)
        return ended

    def inventory(self, positions: Iterable[int]) -> Iterable[bytes]:
        """Yield the inventory of these parts: path in the archive, name at home, bytes, SHA-256."""
        yield "fichier;nom d’origine;octets;sha256\n".encode()
        for position in positions:
            path = self.folder / f"inventory-{position}.csv"
            yield path.read_bytes() if path.exists() else b""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def _tail(self, ended: int) -> Path:
        return self.folder / f"tail-{ended}"

    def _free(self, name: str) -> str:
        """Return a name that no file of the archive has yet: two names that differ by case only open on Windows too."""
        number = 2
        stem, dot, end = name.rpartition(".") if "." in name.rpartition("/")[2] else (name, "", "")
        free = name
        while free.casefold() in self._names:
            free, number = f"{stem}-{number}{dot}{end}", number + 1
        self._names.add(free.casefold())
        return free


def safe_path(key: str) -> str:
    """Return a path that stays where it is unpacked, on any system, for a name that somebody else chose."""
    readable = key.encode("utf-8", "replace").decode()
    parts = [_FORBIDDEN.sub("-", part) for part in readable.split("/") if part not in {"", ".", ".."}]
    kept = [part[:_LONGEST].strip(" .") or "_" for part in parts]
    return "/".join(f"_{part}" if _DEVICE.fullmatch(part) else part for part in kept) or "_"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _harmless(value: object) -> object:
    """Keep a spreadsheet from running what somebody named a file."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _write(path: Path, content: bytes) -> None:
    """Write a small file whole, or not at all."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
