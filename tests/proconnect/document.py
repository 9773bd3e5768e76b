"""`docs/proconnect-conformance.md`: the rows, what ours does, what the library as shipped does."""

import re
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from tests.proconnect.providers import PROVIDERS
from tests.proconnect.rows import Verdict

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "proconnect-conformance.md"
HEAD = ("Row", "Test", "Expected", "Ours", "As shipped")
NOTHING = "—"


def order(verdict: Verdict) -> tuple[int, str, str, int]:
    """Sort by number, then case, then provider."""
    digits = re.findall(r"\d+", verdict.number)[0]
    return int(digits), verdict.number, verdict.title, PROVIDERS.index(verdict.provider)


def cells(verdicts: list[Verdict]) -> dict[tuple[str, str, str], str]:
    """Return what each row says: one word when all providers and cases agree, each provider's when they do not."""
    found = {}
    for key, group in groupby(sorted(verdicts, key=order), key=lambda one: (one.number, one.title, one.expected)):
        by_provider: dict[str, list[str]] = {}
        for one in group:
            said = one.got if one.passed else f"**{one.got}**"
            by_provider.setdefault(one.provider, [])
            if said not in by_provider[one.provider]:
                by_provider[one.provider].append(said)
        words = {name: "; ".join(sorted(said)) for name, said in by_provider.items()}
        alike = len(set(words.values())) == 1
        found[key] = (
            next(iter(words.values())) if alike else " / ".join(f"{name}: {said}" for name, said in words.items())
        )
    return found


def recorded() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return the rows of the page: (ours, as shipped) by (number, test, expected)."""
    rows = {}
    for line in PAGE.read_text().splitlines() if PAGE.exists() else []:
        held = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(held) == len(HEAD) and held[0][:1].isdigit():
            rows[held[0], held[1], held[2]] = (held[3], held[4])
    return rows


def differences(verdicts: list[Verdict], *, vanilla: bool) -> list[str]:
    """Return where the page and this run do not say the same."""
    known, column = recorded(), int(vanilla)
    return [
        f"row {key[0]}, {key[1]}: {known[key][column] if key in known else 'absent'}; got {said}"
        for key, said in cells(verdicts).items()
        if key not in known or known[key][column] != said
    ]


def summary(rows: dict[tuple[str, str, str], tuple[str, str]]) -> str:
    """Count the verdicts: what is not as expected falls in one kind only, the worst."""
    lines = []
    for column, name in enumerate(("Ours", f"mozilla-django-oidc {version('mozilla-django-oidc')} as shipped")):
        said = [held[column] for held in rows.values() if held[column] != NOTHING]
        wrong = [one for one in said if "**" in one]
        taken = [one for one in wrong if "logged in as somebody else" in one]
        let_in = [one for one in wrong if one not in taken and "logged in" in one]
        crashed = [one for one in wrong if one not in taken + let_in and "500" in one]
        lines.append(
            f"- {name}: {len(said)} cases, {len(said) - len(wrong)} as expected, {len(taken)} signed in as somebody "
            f"else, {len(let_in)} signed in wrongly otherwise, {len(crashed)} errors 500, "
            f"{len(wrong) - len(taken) - len(let_in) - len(crashed)} wrong in another way."
        )
    return "\n".join(lines)


def write(verdicts: list[Verdict], *, vanilla: bool, whole: bool) -> None:
    """Replace a column of the page, and the count above it; a row that a whole run of ours does not know leaves."""
    known, fresh = recorded(), cells(verdicts)
    rows = {}
    for key in sorted({*known, *fresh}, key=lambda one: (int(re.findall(r"\d+", one[0])[0]), one[0], one[1])):
        ours, shipped = known.get(key, (NOTHING, NOTHING))
        if vanilla:
            shipped = fresh.get(key, NOTHING if whole else shipped)
        elif whole and key not in fresh:
            continue
        else:
            ours = fresh.get(key, ours)
        rows[key] = (ours, shipped)
    lines = [(*key, *said) for key, said in rows.items()]
    head, *shown = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in [HEAD, *lines]]
    table = "\n".join([head, "|" + "---|" * len(HEAD), *shown, ""])
    text = PAGE.read_text() if PAGE.exists() else "<!-- table -->\n"
    before, _, _ = text.partition("<!-- table -->")
    PAGE.write_text(f"{before}<!-- table -->\n\n## The matrix\n{summary(rows)}\n\n{table}")
