"""The first sheet of an ODS or XLSX file, read in a process of its own: `python sheets.py < file` prints JSON.

Such a file is a stranger's compressed archive, and the library that reads it takes as much memory as the file asks for.
Here it asks in vain: the process has its own limits, and what becomes of it is not the site's business. No Django here.
"""

import io
import json
import resource
import sys
from collections.abc import Iterable

MEMORY = 512 * 1024 * 1024
SECONDS = 10
ROWS, COLUMNS, CELL = 1001, 40, 2000


def main() -> None:
    """Print the rows as lists of texts; one more than the most, so that the caller sees there are too many."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 - under the limits

    sheet = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read())).get_sheet_by_index(0)
    json.dump(bounded([text(cell)[:CELL] for cell in row[:COLUMNS]] for row in sheet.iter_rows()), sys.stdout)


def bounded(rows: Iterable[list[str]]) -> list[list[str]]:
    """Return the rows up to the last that says something, blank ones in between, so that their numbers are right."""
    kept: list[list[str]] = []
    blank = 0
    for row in rows:
        if not any(row):
            blank += 1
            continue
        kept += [[]] * min(blank, ROWS)
        kept.append(row)
        blank = 0
        if len(kept) > ROWS:
            break
    return kept[: ROWS + 1]


def text(cell: object) -> str:
    """Write a cell as a person reads it: a whole number has no decimals."""
    if isinstance(cell, bool):
        return "oui" if cell else "non"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


if __name__ == "__main__":
    main()
