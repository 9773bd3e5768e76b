"""The number of an establishment: a SIREN, five digits of its own, and a key."""

import re

_FOURTEEN = re.compile(r"[0-9]{14}")
LA_POSTE = "356000000"


def is_valid(siret: object) -> bool:
    """Say whether this is a SIRET: a string of 14 digits whose sum of Luhn is a multiple of ten.

    The establishments of La Poste follow a rule of their own, the plain sum of their digits being a multiple of five;
    its head office alone passes both.
    """
    if not isinstance(siret, str) or not _FOURTEEN.fullmatch(siret):
        return False
    if siret.startswith(LA_POSTE):
        return sum(map(int, siret)) % 5 == 0 or _luhn(siret) % 10 == 0
    return _luhn(siret) % 10 == 0


def complete(first_thirteen: str) -> str:
    """Return the SIRET that starts with these 13 digits."""
    return next(siret for siret in (f"{first_thirteen}{key}" for key in range(10)) if _luhn(siret) % 10 == 0)


def _luhn(digits: str) -> int:
    """Add the digits, each second one from the right doubled and reduced to one digit."""
    doubled = (int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled)  # noqa: PLR2004 - of two digits
