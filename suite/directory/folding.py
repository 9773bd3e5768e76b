"""How a name is written down to be compared: what people type and what the official file says meet here."""

import re
import unicodedata

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss"})
_SAINTS = {"st": "saint", "ste": "sainte", "sts": "saints", "stes": "saintes"}
_ARTICLES = frozenset({"l", "la", "le", "les"})
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
# « CC », « communauté de communes »... and what links them to the name proper (« de la », « d’ », « du »).
_NATURE = re.compile(
    r"^(?:cc|ca|cu|com com|comcom|communaute de communes|communaute d agglomeration|communaute urbaine)"
    r"(?: (?:d|de|du|des))?(?: (?:l|la|le|les))?(?: |$)"
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


def names_an_epci(text: str) -> bool:
    """Tell whether what was typed starts with the nature of an EPCI and says more than that."""
    plain = " ".join(words(text))
    return bool(_NATURE.sub("", plain)) and _NATURE.match(plain) is not None
