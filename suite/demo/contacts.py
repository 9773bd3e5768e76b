"""Invented town hall contacts for the communes of the demonstration: the public directory is not shipped."""

import datetime as dt

from suite.demo import people
from suite.directory.models import DeclaredContact, Organization

SOURCE = "Inventé pour la démonstration"
# SIREN, mailbox, lines of the address. Nothing is at these addresses.
CONTACTS = (
    (people.ROCHEFORT[:9], "mairie@rochefort-en-terre.example", ("1 place de l’Exemple", "56220 ROCHEFORT-EN-TERRE")),
    (people.FELLETIN[:9], "mairie@felletin.example", ("2 rue de l’Exemple", "23500 FELLETIN")),
    (people.QUESTEMBERT[:9], "accueil@questembert.example", ("3 avenue de l’Exemple", "56230 QUESTEMBERT")),
)


def ensure_contacts() -> None:
    """Give each commune of the demonstration a contact, unless the real directory was imported. Idempotent."""
    for siren, email, lines in CONTACTS:
        organization = Organization.objects.filter(siren=siren).first()
        if organization is not None:
            DeclaredContact.objects.get_or_create(
                organization=organization,
                defaults={
                    "emails": [email],
                    "address_lines": list(lines),
                    "source": SOURCE,
                    "observed_on": dt.date(2026, 11, 1),
                    "demonstration": True,
                },
            )
