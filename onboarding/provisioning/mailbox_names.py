"""Local parts of mailboxes: proposed, judged. Pure (`services.md`, 6.4)."""

import re

from suite.directory.folding import letters, slug

LOCAL_PART = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
LONGEST = 64

TECHNICAL = frozenset(
    [
        "postmaster",
        "abuse",
        "hostmaster",
        "webmaster",
        "security",
        "admin",
        "administrator",
        "root",
        "noreply",
        "no-reply",
        "mailer-daemon",
        "oxadmin",
        "dmarc",
    ]
)
ROLES = (
    "mairie", "contact", "accueil", "secretariat", "etat-civil", "urbanisme", "maire", "elus", "dgs", "comptabilite",
    "rh", "communication", "technique", "voirie", "ccas", "periscolaire", "cantine", "ecole", "mediatheque",
    "elections", "cimetiere", "police-municipale",
)  # fmt: skip
_ROLE = re.compile(rf"({'|'.join(ROLES)})([.-].*|[0-9].*)?")


def proposal(given_name: str, family_name: str) -> str:
    """Return `prenom.nom`, "" when nothing usable was typed; compound names keep their hyphens."""
    parts = [slug(given_name), slug(family_name)]
    return ".".join(part for part in parts if part)[:LONGEST].strip(".-")


def proposals(given_name: str, family_name: str) -> list[str]:
    """Return what to propose, in order, to a person whose homonym already has an address."""
    given, family = slug(given_name), slug(family_name)
    first = proposal(given_name, family_name)
    if not given or not family:
        return [first] if first else []
    initial = given.partition("-")[2][:1]
    middle = [f"{given.partition('-')[0]}.{initial}.{family}"] if initial else []
    numbered = [f"{given}.{family}{number}" for number in range(2, 10)]
    return [option for option in [first, *middle, *numbered] if len(option) <= LONGEST]


def normalise(typed: str) -> str:
    """Return the local part meant by what was typed: lower case, no accent, and nothing after an @."""
    text = letters(typed.strip()).partition("@")[0]
    return re.sub(r"[\s'’]+", "-", text)


def problem(local_part: str, kind: str) -> str:  # noqa: PLR0911 - one sentence per rule
    """Return what is wrong with a normalised local part, as a French sentence, "" when nothing is."""
    if not local_part:
        return "Indiquez le début de l’adresse, avant le @."
    if len(local_part) > LONGEST:
        return f"Le début de l’adresse est trop long : {LONGEST} caractères au plus."
    if "_" in local_part:
        return "Le tiret bas n’est pas permis dans une adresse : remplacez-le par un point ou un tiret."
    if not LOCAL_PART.fullmatch(local_part):
        return (
            "Le début de l’adresse ne peut contenir que des lettres sans accent et des chiffres, "
            "séparés par un point ou un tiret : par exemple « camille.dupont »."
        )
    if local_part in TECHNICAL:
        return "Cette adresse est réservée à un usage technique : nous la créons nous-mêmes si besoin."
    if kind == "personal" and _ROLE.fullmatch(local_part):
        return "Cette adresse désigne un service et non une personne : choisissez une boîte partagée."
    return ""
