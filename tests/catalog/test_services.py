"""The services that the migration brings: ids are a contract with the public file."""

import pytest

from suite.catalog.models import GB, Service

pytestmark = pytest.mark.django_db

BASE = {58, 2, 12, 4, 1, 49}


def test_the_base_is_the_six_public_services_by_id() -> None:
    assert set(Service.objects.filter(base=True).values_list("pk", flat=True)) == BASE


def test_the_threshold_limits_messages_fichiers_rendez_vous_and_espace_sur_demande_only() -> None:
    assert set(Service.objects.filter(threshold=True).values_list("pk", flat=True)) == {2, 12, 49, 3}


def test_every_service_requires_proconnect_but_proconnect() -> None:
    assert {service.pk: [r.pk for r in service.requires.all()] for service in Service.objects.all()} == {
        pk: [] if pk == 58 else [58] for pk in Service.objects.values_list("pk", flat=True)
    }


def test_what_stores_has_ten_gigabytes_to_begin_with() -> None:
    stored = Service.objects.exclude(default_quota=None).values_list("slug", "default_quota")
    assert dict(stored) == {"messages": 10 * GB, "fichiers": 10 * GB}


def test_ids_of_our_own_stay_clear_of_the_public_file() -> None:
    own = Service.objects.filter(slug__in=["projets", "docs", "visio", "tchap"])
    assert own.count() == 4
    assert all(service.pk >= 1000 for service in own)
