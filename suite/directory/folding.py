"""How a name is written down to be compared: what people type and what the official file says meet here."""

import re
import unicodedata

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss"})
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "Œ": "oe", "Æ": "ae", "ß": "ss", "ø": "o", "Ø": "o"})
JOINTS = re.compile(r"[\s'’‘ʼ`´_‐‑‒–—−-]+")
_QUALIFIER = re.compile(r"\([^)]*\)")
_SAINTS = {"st": "saint", "ste": "sainte", "sts": "saints", "stes": "saintes"}
_ARTICLES = frozenset({"l", "la", "le", "les"})
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
# « CC », « communauté de communes »... and what links them to the name proper (« de la », « d’ », « du »).
_NATURES = {
    "CC": "cc|com com|comcom|communaute de communes",
    "CA": "ca|agglo|communaute d agglomeration",
    "CU": "cu|communaute urbaine",
}
_NATURE = re.compile(
    "^(?:" + "|".join(f"(?P<{nature}>{said})" for nature, said in _NATURES.items()) + ")"
    "(?: (?:d|de|du|des))?(?: (?:l|la|le|les))?(?: |$)"
)


def words(text: str) -> list[str]:
    """Return the words of `text`: lower case, no accent, ligatures and « St » spelled out, punctuation dropped."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LIGATURES))
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return [_SAINTS.get(word, word) for word in _NOT_A_WORD.split(bare.translate(_LIGATURES)) if word]


def fold(name: str) -> str:
    """Fold the name of a commune: its words without the leading article (« L’Île-d’Yeu » -> « ile d yeu »)."""
    found = words(name)
    if len(found) > 1 and found[0] in _ARTICLES:
        found = found[1:]
    return " ".join(found)


def fold_epci(name: str) -> str:
    """Fold the name of an EPCI, without its nature (« CC de la Dombes » -> « dombes »)."""
    plain = " ".join(words(name))
    return fold(_NATURE.sub("", plain) or plain)


def nature_named(text: str) -> str:
    """Return the nature (CC, CA, CU) with which what was typed starts, "" when none, or nothing, follows."""
    plain = " ".join(words(text))
    match = _NATURE.match(plain)
    return match.lastgroup or "" if match and match.end() < len(plain) else ""


def letters(text: str) -> str:
    """Return the text in lower-case ASCII letters where a letter has one; the rest is left as it is."""
    # Twice: a letter in bold or in a circle only shows its case once decomposed.
    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    decomposed = unicodedata.normalize("NFKD", decomposed).casefold().translate(_LETTERS)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def slug(name: str) -> str:
    """Return the label a name gives: « L'Haÿ-les-Roses » is `l-hay-les-roses`; at most 63 characters."""
    folded = JOINTS.sub("-", letters(_QUALIFIER.sub(" ", name)))
    kept = re.sub(r"[^a-z0-9-]+", "", folded)
    return re.sub(r"-{2,}", "-", kept)[:63].strip("-")
