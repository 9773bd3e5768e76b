"""`manage.py import_directory`: what it prints, its exit status, and what it leaves when it refuses."""

import io
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from suite.directory import snapshot
from suite.directory.models import ImportRun, Organization
from suite.directory.snapshot import Territory
from tests.directory.test_snapshot import write_package


@pytest.mark.django_db
class TestImportDirectory:
    @pytest.fixture
    def folder(self, shipped: Territory, tmp_path: Path) -> Path:
        return write_package(tmp_path / "package", shipped)

    def test_the_package_is_imported_the_compact_file_rebuilt_and_a_second_run_changes_nothing(
        self, folder: Path, tmp_path: Path
    ) -> None:
        output = tmp_path / "territory.ndjson.gz"
        out = io.StringIO()
        call_command("import_directory", "--from", str(folder), "--output", str(output), stdout=out)
        assert "36226 ajoutées" in out.getvalue()
        assert snapshot.unpack(output.read_bytes(), "essai") == snapshot.shipped()[0]
        assert list(tmp_path.glob(".territory*")) == []
        again = io.StringIO()
        call_command("import_directory", stdout=again)
        assert "Aucun changement." in again.getvalue()
        assert ImportRun.objects.count() == 2

    @pytest.mark.parametrize("file", ["communes.json", "epci.json", "departements.json", "regions.json"])
    def test_a_truncated_file_is_refused_and_nothing_changes(self, folder: Path, tmp_path: Path, file: str) -> None:
        path = folder / "data" / file
        path.write_bytes(path.read_bytes()[:-100])
        output = tmp_path / "territory.ndjson.gz"
        with pytest.raises(CommandError, match=file) as refusal:
            call_command("import_directory", "--from", str(folder), "--output", str(output), stdout=io.StringIO())
        assert refusal.value.returncode == 1
        assert not output.exists()
        assert not Organization.objects.exists()
        assert not ImportRun.objects.exists()

    def test_a_file_that_cannot_be_written_is_said(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="n’a pas pu être réécrit"):
            call_command(
                "import_directory", "--from", str(folder), "--output", str(tmp_path / "no" / "x"), stdout=io.StringIO()
            )

    def test_a_folder_without_its_files_is_refused(self, folder: Path) -> None:
        shutil.rmtree(folder / "data")
        with pytest.raises(CommandError, match=r"regions\.json"):
            call_command("import_directory", "--from", str(folder), stdout=io.StringIO())
