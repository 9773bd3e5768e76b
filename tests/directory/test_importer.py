"""What an import does to the tables: whole or not at all, the same row for the same collectivité, nothing lost."""

import datetime as dt
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from suite.directory import importer
from suite.directory.importer import Changes
from suite.directory.models import Department, ImportRun, Name, Organization
from suite.directory.snapshot import Commune, Merger, PastName, SnapshotError, Territory

NOTHING = Changes(0, 0, 0, 0, 0, 0, 0)
MERGER = Merger(
    kind="epci",
    date="2026-01-01",
    replaced=("200069193", "200042497"),
    code="994579670",
    name="CC Réunie",
    nature="CC",
    source="essai",
)


def _commune(territory: Territory, code: str, **fields: Any) -> Territory:
    """Return the territory with one commune changed."""
    communes = tuple(row._replace(**fields) if row.code == code else row for row in territory.communes)
    return replace(territory, communes=communes)


def _without(territory: Territory, code: str) -> Territory:
    return replace(territory, communes=tuple(row for row in territory.communes if row.code != code))


@pytest.mark.django_db
class TestLoad:
    def test_everything_is_there(self, valley: Territory) -> None:
        changes = importer.load(valley, (), "d1")
        assert (changes.organizations_added, changes.names_added, changes.departments) == (6, 8, 2)
        buisse = Organization.objects.get(kind="commune", code="38061")
        assert (buisse.population, buisse.population_year, buisse.siren) == (3500, 2023, "213800618")
        assert buisse.postcodes == ["38500", "38501"]
        assert buisse.department == Department.objects.get(code="38")
        epci = Organization.objects.get(kind="epci", code="200042497")
        assert buisse.epci == epci
        assert (epci.population, epci.population_year) == (900, 2022)
        # It straddles two départements; its own is the more populated one.
        assert (epci.departments, epci.department_id) == (["01", "38"], "38")
        assert Name.objects.get(kind="deleguee").organization.code == "01015"

    def test_a_second_import_changes_nothing_and_is_recorded(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        assert importer.load(valley, (), "d1") == NOTHING
        assert ImportRun.objects.count() == 2
        assert ImportRun.objects.latest().changes == NOTHING._asdict()

    def test_only_what_changed_is_touched_and_rows_keep_their_identity(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        before = dict(Organization.objects.values_list("code", "pk"))
        changed = _commune(valley, "01001", name="L'Abergement-Nouveau", population=870, epci=None)
        changes = importer.load(changed, (), "d2")
        assert (changes.organizations_added, changes.organizations_changed, changes.names_changed) == (0, 1, 1)
        assert dict(Organization.objects.values_list("code", "pk")) == before
        commune = Organization.objects.get(code="01001")
        assert (commune.name, commune.population, commune.epci) == ("L'Abergement-Nouveau", 870, None)
        assert commune.names.get().folded == "abergement nouveau"

    def test_a_name_of_the_past_that_leaves_the_file_leaves_the_search(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        assert importer.load(replace(valley, past=()), (), "d2").names_removed == 2
        assert not Name.objects.exclude(kind="current").exists()

    def test_two_communes_may_exchange_their_siren(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        swapped = _commune(_commune(valley, "01001", siren="210100020"), "01002", siren="210100012")
        assert importer.load(swapped, (), "d2").organizations_changed == 2
        assert Organization.objects.get(siren="210100020").code == "01001"

    def test_a_new_commune_may_take_the_siren_of_the_one_it_replaces(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        new = Commune("01999", "Nouvelle", "metro", "01", "210100012", 860, ("01400",), "200069193")
        merged = _without(valley, "01001")
        merged = replace(
            merged, communes=(*merged.communes, new), past=(PastName("deleguee", "01001", "L'Abergement", "01999"),)
        )
        changes = importer.load(merged, (), "d2")
        assert (changes.organizations_added, changes.organizations_closed) == (1, 1)
        old = Organization.objects.get(code="01001")
        assert old.successor is not None
        assert (old.successor.code, old.successor.siren, old.closed_on) == ("01999", "210100012", dt.date(2026, 1, 1))

    def test_a_commune_that_vanishes_unexplained_stops_the_import(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        smaller = _commune(_without(valley, "01002"), "01001", population=1)
        with pytest.raises(SnapshotError, match="01002"):
            importer.load(smaller, (), "d2")
        assert Organization.objects.get(code="01001").population == 860
        assert ImportRun.objects.count() == 1

    def test_a_commune_that_vanishes_with_a_merger_is_closed_and_kept(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        merger = replace(MERGER, kind="commune", replaced=("01002",), code="01001", date="2026-03-01")
        assert importer.load(_without(valley, "01002"), (merger,), "d2").organizations_closed == 1
        closed = Organization.objects.get(code="01002")
        assert closed.successor == Organization.objects.get(code="01001")
        assert closed.closed_on == dt.date(2026, 3, 1)
        assert importer.load(_without(valley, "01002"), (merger,), "d2") == NOTHING

    def test_a_commune_that_comes_back_is_open_again(self, valley: Territory) -> None:
        importer.load(valley, (), "d1")
        merger = replace(MERGER, kind="commune", replaced=("01002",), code="01001")
        importer.load(_without(valley, "01002"), (merger,), "d2")
        importer.load(valley, (), "d3")
        assert Organization.objects.get(code="01002").closed_on is None

    def test_merged_epci_are_closed_their_members_move_their_populations_add_up(self, valley: Territory) -> None:
        changes = importer.load(valley, (MERGER,), "d1")
        assert (changes.organizations_added, changes.organizations_closed) == (7, 2)
        successor = Organization.objects.get(code="994579670")
        assert (successor.population, successor.members.count(), successor.siren) == (4900, 4, "994579670")
        assert successor.departments == ["01", "38"]
        closed = Organization.objects.filter(successor=successor)
        assert {(row.code, row.closed_on, row.members.count()) for row in closed} == {
            ("200069193", dt.date(2026, 1, 1), 0),
            ("200042497", dt.date(2026, 1, 1), 0),
        }
        assert importer.load(valley, (MERGER,), "d1") == NOTHING

    def test_mayotte_and_the_com_do_not_borrow_the_year_of_the_others(self, valley: Territory) -> None:
        elsewhere = _commune(_commune(valley, "01001", department="01", zone="com"), "01002", population=None)
        importer.load(elsewhere, (), "d1")
        assert Organization.objects.get(code="01001").population_year is None
        assert Organization.objects.get(code="01002").population_year is None


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_do_not_mix(valley: Territory) -> None:
    done: list[Changes] = []
    start = threading.Barrier(2)

    def run() -> None:
        try:
            start.wait()
            done.append(importer.load(valley, (MERGER,), "d1"))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changes.organizations_added for changes in done) == [0, 7]
    assert NOTHING in done


@pytest.mark.django_db(transaction=True)
def test_a_refused_import_leaves_the_tables_as_they_were(valley: Territory) -> None:
    importer.load(valley, (), "d1")
    with pytest.raises(SnapshotError):
        importer.load(_without(valley, "01002"), (), "d2")
    assert Organization.objects.count() == 6
    assert ImportRun.objects.count() == 1
