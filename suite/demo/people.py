"""The people of the demonstration: all invented, their communes real. Data only: the provider and the site read it."""

import uuid
from dataclasses import dataclass

from suite.accounts.siret import complete

# Names the accounts of the demonstration; a provider of the real world never gives a sub of this namespace.
NAMESPACE = uuid.UUID("5f6d3c1e-7c0b-4b53-9d0e-2f1a6c0b8e11")

TERRITORIAL = ("agent_public", "agent_public_territorial")
STATE = ("agent_public", "agent_public_etat")


@dataclass(frozen=True)
class Persona:
    """Somebody one may sign in as. `operator` and `operator_role` give a place in an operator's staff."""

    key: str
    given_name: str
    usual_name: str
    email: str
    sub: str
    siret: str
    label: str
    purpose: str
    roles: tuple[str, ...] = TERRITORIAL
    acr: str = "eidas1"
    amr: tuple[str, ...] = ("pwd",)
    operator: str = ""
    operator_role: str = ""


def sub_of(email: str) -> str:
    """Return the account's identifier: ProConnect keeps one account per address, whatever the SIRET it comes with."""
    return str(uuid.uuid5(NAMESPACE, email.strip().lower()))


def _siret(siren: str) -> str:
    """Return the SIRET of a first establishment; the real one may differ."""
    return complete(f"{siren}0001")


ROCHEFORT = _siret("215601964")
FELLETIN = _siret("212307904")
QUESTEMBERT = _siret("245614383")
STATE_SERVICE = _siret("130025265")
COMPANY = _siret("920000023")
ANCT = _siret("130026032")
OPSN = _siret("910000017")

ANCT_NAME = "ANCT"
OPSN_NAME = "Numérique Creuse (démonstration)"
SECOND_FACTOR = ("pwd", "otp", "mfa")

_secretary = "secretaire@rochefort-en-terre.example"
_second = "accueil@rochefort-en-terre.example"

PEOPLE: tuple[Persona, ...] = (
    Persona(
        key="secretaire",
        given_name="Camille",
        usual_name="Le Goff",
        email=_secretary,
        sub=sub_of(_secretary),
        siret=ROCHEFORT,
        label="Secrétaire de mairie, Rochefort-en-Terre (Morbihan)",
        purpose="Demander un nom de domaine, des boîtes et un stockage pour sa commune.",
    ),
    Persona(
        key="collegue",
        given_name="Maëlle",
        usual_name="L’Hostis-O'Brien",
        email=_second,
        sub=sub_of(_second),
        siret=ROCHEFORT,
        label="Agente d’accueil, Rochefort-en-Terre (Morbihan)",
        purpose="Une seconde personne de la même commune ; son nom porte deux apostrophes.",
    ),
    Persona(
        key="intercommunalite",
        given_name="Yann",
        usual_name="Guillemot",
        email="y.guillemot@questembert.example",
        sub=sub_of("y.guillemot@questembert.example"),
        siret=QUESTEMBERT,
        label="Chargé de mission, CC Questembert Communauté (Morbihan)",
        purpose="Un agent d’intercommunalité : il n’agit pour aucune des communes membres.",
    ),
    Persona(
        key="anct-instructeur",
        given_name="Paul",
        usual_name="Roussel",
        email="paul.roussel@anct.example",
        sub=sub_of("paul.roussel@anct.example"),
        siret=ANCT,
        roles=STATE,
        acr="eidas1-mfa",
        amr=SECOND_FACTOR,
        operator=ANCT_NAME,
        operator_role="instructor",
        label="Instructeur à l’ANCT",
        purpose="Prendre, approuver, refuser une demande.",
    ),
    Persona(
        key="anct-responsable",
        given_name="Nadia",
        usual_name="Ferrand",
        email="nadia.ferrand@anct.example",
        sub=sub_of("nadia.ferrand@anct.example"),
        siret=ANCT,
        roles=STATE,
        acr="eidas1-mfa",
        amr=SECOND_FACTOR,
        operator=ANCT_NAME,
        operator_role="lead",
        label="Responsable à l’ANCT",
        purpose="Voir toutes les demandes, donner une seconde approbation.",
    ),
    Persona(
        key="opsn-instructrice",
        given_name="Solène",
        usual_name="Chabrol",
        email="solene@numerique-creuse.example",
        sub=sub_of("solene@numerique-creuse.example"),
        siret=OPSN,
        roles=(),
        acr="eidas1-mfa",
        amr=SECOND_FACTOR,
        operator=OPSN_NAME,
        operator_role="instructor",
        label="Instructrice, Numérique Creuse (Creuse, Corrèze, Haute-Vienne)",
        purpose="Une opératrice de droit privé : sans rôle public, admise par le SIRET de son organisme.",
    ),
    Persona(
        key="opsn-lecteur",
        given_name="Bastien",
        usual_name="Lagrange",
        email="bastien@numerique-creuse.example",
        sub=sub_of("bastien@numerique-creuse.example"),
        siret=OPSN,
        roles=(),
        acr="eidas1-mfa",
        amr=SECOND_FACTOR,
        operator=OPSN_NAME,
        operator_role="reader",
        label="Lecteur, Numérique Creuse (Creuse, Corrèze, Haute-Vienne)",
        purpose="Consulter les demandes de son territoire sans les instruire.",
    ),
    Persona(
        key="etat",
        given_name="Inès",
        usual_name="Benali",
        email="ines.benali@etat.example",
        sub=sub_of("ines.benali@etat.example"),
        siret=STATE_SERVICE,
        roles=STATE,
        label="Agente de l’État",
        purpose="Agente publique sans collectivité : elle entre, et n’a rien à demander.",
    ),
    Persona(
        key="secretaire-felletin",
        given_name="Camille",
        usual_name="Le Goff",
        email=_secretary,
        sub=sub_of(_secretary),
        siret=FELLETIN,
        label="La même secrétaire, pour Felletin (Creuse)",
        purpose="Le SIRET change : les droits donnés par le premier sont suspendus, et reviennent avec lui.",
    ),
    Persona(
        key="nouvelle-identite",
        given_name="Camille",
        usual_name="Le Goff",
        email=_secretary,
        sub=str(uuid.uuid5(NAMESPACE, "another provider’s account")),
        siret=ROCHEFORT,
        label="L’adresse de la secrétaire, sous une autre identité",
        purpose="Une adresse connue sous un sub inconnu : refus et demande de rapprochement.",
    ),
    Persona(
        key="prestataire",
        given_name="Hugo",
        usual_name="Marchand",
        email="hugo@prestataire.example",
        sub=sub_of("hugo@prestataire.example"),
        siret=COMPANY,
        roles=(),
        label="Prestataire d’une entreprise privée",
        purpose="Aucun rôle d’agent public : l’entrée lui est refusée, et expliquée.",
    ),
    Persona(
        key="niveau-faible",
        given_name="Lucie",
        usual_name="Moreau",
        email="mairie@felletin.example",
        sub=sub_of("mairie@felletin.example"),
        siret=FELLETIN,
        acr="eidas0",
        label="Secrétaire de mairie, Felletin (Creuse), niveau eidas0",
        purpose="Un niveau d’identification trop bas : refus expliqué.",
    ),
    Persona(
        key="operateur-courriel",
        given_name="Gaël",
        usual_name="Tanguy",
        email="gael.tanguy@anct.example",
        sub=sub_of("gael.tanguy@anct.example"),
        siret=ANCT,
        roles=STATE,
        acr="eidas1-mfa",
        amr=("pwd", "mail", "mfa"),
        operator=ANCT_NAME,
        operator_role="instructor",
        label="Instructeur à l’ANCT, second facteur par courriel",
        purpose="Un second facteur trop faible pour un opérateur : refus expliqué.",
    ),
)


def persona(key: str) -> Persona:
    """Return one of the people. Raises KeyError."""
    return {one.key: one for one in PEOPLE}[key]
