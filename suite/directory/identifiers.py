"""The numbers of the State: SIREN, SIRET and INSEE codes. Shapes and checksums only, no look-up."""

import re

_INSEE = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{3}")


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the Luhn checksum of the others. `digits` holds ASCII digits only."""
    total = 0
    for rank, character in enumerate(reversed(digits)):
        value = int(character) * (2 if rank % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the digits of a two-digit product are added
    return total % 10 == 0


def is_siren(text: str) -> bool:
    """Tell whether `text` is nine digits with a right checksum."""
    return len(text) == 9 and text.isascii() and text.isdigit() and luhn(text)  # noqa: PLR2004 - a SIREN's length


def is_siret(text: str) -> bool:
    """Tell whether `text` is fourteen digits, right as a whole and in their first nine."""
    return len(text) == 14 and text.isascii() and text.isdigit() and luhn(text) and luhn(text[:9])  # noqa: PLR2004 - idem


def is_insee(text: str) -> bool:
    """Tell whether `text` has the shape of a commune's code (« 01004 », « 2A004 »)."""
    return _INSEE.fullmatch(text) is not None
