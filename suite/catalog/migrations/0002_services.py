"""The services of the ecosystem.

Ids under 1000 are the public ones of the ANCT's services file (data.gouv.fr, dataset 68b0a2a1117b75b1b09edc6b). The
apps of La Suite numérique from 1000 on are not rows of that file as we know it: their ids are ours, in a range the
file is far from, so that none is taken for a public one.
"""

from django.db import migrations

GB = 1_000_000_000
PROCONNECT = 58

# id, slug, name, description, address, base, threshold, default quota in GB
SERVICES = [
    (PROCONNECT, "proconnect", "ProConnect", "Une seule connexion, celle de votre messagerie ou de votre opérateur, pour tous les services.", "https://www.proconnect.gouv.fr/", True, False, None),
    (2, "messages", "Messages", "La messagerie de la collectivité : boîtes personnelles et partagées, à son propre nom de domaine.", "https://messages.suite.anct.gouv.fr/", True, True, 10),
    (12, "fichiers", "Fichiers", "Un espace en ligne pour ranger, retrouver et partager les documents de la collectivité.", "https://fichiers.suite.anct.gouv.fr/", True, True, 10),
    (4, "annuaire-des-collectivites", "Annuaire des Collectivités", "Qui fait quoi, et comment le joindre, dans les communes et les intercommunalités voisines.", "", True, False, None),
    (1, "mes-adresses", "Mes Adresses", "L’outil pour créer et tenir à jour la base adresse locale de la commune.", "https://mes-adresses.data.gouv.fr/", True, False, None),
    (49, "rdv-service-public", "RDV Service Public", "La prise de rendez-vous en ligne des habitants avec leur mairie.", "https://rdv.anct.gouv.fr/", True, True, None),
    (3, "espace-sur-demande", "Espace sur Demande", "Un espace collaboratif ouvert à la demande pour un groupe de travail ou un projet.", "", False, True, None),
    (1001, "projets", "Projets", "Des tableaux pour suivre à plusieurs les tâches d’un projet, de la délibération aux travaux.", "https://projets.suite.anct.gouv.fr/", False, False, None),
    (1002, "docs", "Docs", "Des documents écrits à plusieurs en même temps : comptes rendus, notes, délibérations.", "https://docs.numerique.gouv.fr/", False, False, None),
    (1003, "visio", "Visio", "La visioconférence dans le navigateur, sans rien installer, pour les agents et leurs invités.", "https://visio.numerique.gouv.fr/", False, False, None),
    (1004, "tchap", "Tchap", "La messagerie instantanée des agents publics, pour des échanges rapides et protégés.", "https://www.tchap.gouv.fr/", False, False, None),
]


def load(apps, schema_editor):
    """Write the services that are missing; also run by the tests, which empty every table at times."""
    Service = apps.get_model("catalog", "Service")
    for position, (pk, slug, name, description, url, base, threshold, quota) in enumerate(SERVICES):
        Service.objects.get_or_create(
            pk=pk,
            defaults={
                "slug": slug,
                "name": name,
                "description": description,
                "url": url,
                "base": base,
                "threshold": threshold,
                "default_quota": quota and quota * GB,
                "position": position,
            },
        )
    for service in Service.objects.filter(pk__in=[row[0] for row in SERVICES]).exclude(pk=PROCONNECT):
        service.requires.add(PROCONNECT)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    # Backwards the rows stay: subscriptions hang on them, and the table itself goes with 0001.
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
