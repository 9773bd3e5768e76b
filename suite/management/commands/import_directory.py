"""Bring the directory up to date: `import_directory`, or `import_directory --from <folder of the npm package>`."""

import os
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from suite.directory import importer, package, snapshot


class Command(BaseCommand):
    help = "Import the communes and EPCI of France: from the shipped file, or from the official package with --from."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from", dest="folder", type=Path, help="folder of @etalab/decoupage-administratif, or its data folder"
        )
        parser.add_argument(
            "--output", type=Path, default=snapshot.SHIPPED, help="with --from, the compact file to rebuild"
        )

    def handle(self, *, folder: Path | None, output: Path, **_: Any) -> None:
        started = time.monotonic()
        try:
            if folder is None:
                territory, data = snapshot.shipped()
            else:
                territory = package.read(folder)
                data = snapshot.pack(territory)
            changes = importer.load(territory, snapshot.mergers(), snapshot.digest(data))
        except snapshot.SnapshotError as error:
            raise CommandError(f"Import refusé, rien n’a changé. {error}") from error
        if folder is not None:
            _write(output, data)
            self.stdout.write(f"Fichier compact réécrit : {output} ({len(data):_} octets)".replace("_", " "))
        counts = territory.counts()
        self.stdout.write(
            f"{territory.source}, millésime {territory.vintage.label} : {counts['communes']} communes, "
            f"{counts['epci']} EPCI, {counts['past']} noms ou codes passés."
        )
        self.stdout.write(_report(changes))
        self.stdout.write(f"Fait en {time.monotonic() - started:.1f} s.")


def _report(changes: importer.Changes) -> str:
    if not changes.any:
        return "Aucun changement."
    return (
        f"Collectivités : {changes.organizations_added} ajoutées, {changes.organizations_changed} modifiées, "
        f"{changes.organizations_closed} fermées. "
        f"Noms : {changes.names_added} ajoutés, {changes.names_changed} modifiés, {changes.names_removed} retirés. "
        f"Départements : {changes.departments}."
    )


def _write(output: Path, data: bytes) -> None:
    """Replace the compact file in one move: nobody ever reads half of it."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            file.write(data)
        Path(file.name).chmod(0o644)
        os.replace(file.name, output)
    except OSError as error:
        raise CommandError(
            f"L’annuaire est à jour dans la base, mais le fichier {output} n’a pas pu être réécrit : {error.strerror}."
        ) from error
