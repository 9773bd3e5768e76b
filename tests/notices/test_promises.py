"""R08: a page that announces a mail, a delay or an erasure is believed; each such sentence has a test."""

import ast
import re
from collections.abc import Iterator

from tests.house import ROOT, TEMPLATES, nothing
from tests.notices.promises import PERSON, PROMISES

_MARKUP = re.compile(
    r"{%\s*comment.*?endcomment\s*%}|{#.*?#}|<!--.*?-->|<(style|script)\b.*?</\1>|</?(a|strong|b|em|span|abbr)\b[^>]*>",
    re.DOTALL,
)
# A mail that will come, a delay, an erasure.
_PROMISE = re.compile(
    r"recevr(ez|a)\b|\b(est|sera|seront|serez|êtes) (aussitôt )?(informée?s?|prévenue?s?|effacée?s?|supprimée?s?)"
    r"|\b(sera|seront|serez) (aussitôt )?envoyée?s?|répond(ra|rons)?\b|part (toujours |aussitôt|par courriel)"
    r"|dans (les |un délai de )?(\d+|deux|trois|sept|quinze) (jours|mois|heures|minutes)|sous \d+ (jours|heures)"
    r"|dans le mois|\b(efface|supprime)(ra|rons)?\b",
    re.IGNORECASE,
)


def sentences() -> Iterator[tuple[str, str]]:
    """Yield each sentence of the templates, its variables as « … », and where it is."""
    for path in sorted([*TEMPLATES.rglob("*.html"), *TEMPLATES.rglob("*.txt")]):
        text = re.sub(r"{{.*?}}", "…", _MARKUP.sub("", path.read_text()))
        for block in re.split(r"{%.*?%}|</?[a-z][^>]*>|\n\s*\n", text):
            for sentence in re.split(
                r"(?<=[.?!])\s+(?=[A-ZÀÉÊÎ«…])",
                re.sub(r"[ \n\t]+", " ", block).strip().replace("\u00a0", " ").replace("\u202f", " "),
            ):
                if sentence:
                    yield sentence, str(path.relative_to(ROOT))


def promised() -> dict[str, str]:
    return {sentence: place for sentence, place in sentences() if _PROMISE.search(sentence)}


def test_r08_each_promise_has_its_test() -> None:
    unlisted = [f"{place}: {one}" for one, place in promised().items() if one not in PROMISES]
    nothing(unlisted, "Add the sentence and the test that proves it to tests/notices/promises.py.")


def test_r08_nothing_is_listed_that_nobody_promises() -> None:
    nothing(set(PROMISES) - set(promised()), "No template says this any more: strike it out.")


def test_r08_each_test_named_is_there() -> None:
    missing = []
    for sentence, proof in PROMISES.items():
        if proof == PERSON:
            continue
        file, *names = proof.split("::")
        path = ROOT / file
        body: list[ast.stmt] = ast.parse(path.read_text()).body if path.is_file() else []
        for name in names:
            found = [one for one in body if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name]
            if not found:
                missing.append(f"{proof}: {sentence}")
                break
            body = found[0].body
        if not names or not path.is_file():
            missing.append(f"{proof}: {sentence}")
    nothing(missing, "These tests do not exist.")
