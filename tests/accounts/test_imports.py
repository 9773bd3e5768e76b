"""R31: an import brings reference data; whatever its file says, it never writes a status, a role or a right."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from onboarding.intake.models import Dossier
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import DeclaredContact, Organization
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory
from tests.house import ROOT

pytestmark = pytest.mark.django_db
# Each import of the site; a new one is entered here with the file of somebody who wants more than data.
IMPORTS = {"import_contacts", "import_directory"}
POWERS = {
    "is_superuser": True, "is_staff": True, "groups": ["admin"], "role": "manager", "state": "active",
    "status": "approved", "memberships": [{"role": "manager", "state": "active"}], "operator_roles": ["lead"],
}  # fmt: skip
WRITE = re.compile(r"\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE|COPY)\s+\"?([a-z_]+)", re.IGNORECASE)


class Written:
    """The tables that statements write to."""

    def __init__(self) -> None:
        self.tables: set[str] = set()

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        if found := WRITE.match(sql):
            self.tables.add(found[1])
        return execute(sql, params, many, context)


def rights() -> list[Any]:
    """Return every row that gives somebody a power, or says where a dossier is."""
    return [
        *User.objects.order_by("pk").values(),
        *Membership.objects.order_by("pk").values(),
        *OperatorRole.objects.order_by("pk").values(),
        *Dossier.objects.order_by("pk").values("pk", "status", "version"),
    ]


@pytest.fixture
def commune() -> Organization:
    organization: Organization = CommuneFactory.create(name="Essai", code="01777")
    user = UserFactory.create(email="mairie@essai.example")
    MembershipFactory.create(user=user, organization=organization)
    OperatorRoleFactory.create(user=user, reader=True)
    DossierFactory.create(organization=organization, author=user, sent=True)
    return organization


def test_r31_every_import_is_under_this_test() -> None:
    found = {path.stem for part in ("suite", "onboarding") for path in (ROOT / part).rglob("commands/import_*.py")}

    assert found == IMPORTS


def test_r31_a_file_of_contacts_that_asks_for_powers_gives_none(commune: Organization, tmp_path: Path) -> None:
    record = {
        "id": "1", "nom": "Mairie - Essai", "siret": "", "adresse_courriel": "mairie@essai.example",
        "pivot": json.dumps([{"type_service_local": "mairie", "code_insee_commune": ["01777"], **POWERS}]),
        "adresse": json.dumps([{"type_adresse": "Adresse", "code_postal": "01000", "nom_commune": "Essai", **POWERS}]),
        **POWERS,
    }  # fmt: skip
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"service": [record], **POWERS}))
    before, written = rights(), Written()
    with connection.execute_wrapper(written):
        call_command("import_contacts", str(file), minimum=1)

    assert DeclaredContact.objects.get().emails == ["mairie@essai.example"], "it was read"
    assert rights() == before
    assert written.tables == {"directory_declaredcontact"}


def test_r31_the_directory_writes_its_own_tables_only() -> None:
    OperatorRoleFactory.create(lead=True)
    UserFactory.create(is_superuser=True)
    before, written = rights(), Written()
    with connection.execute_wrapper(written):
        call_command("import_directory")

    assert rights() == before
    assert Organization.objects.count() > 30_000
    ours = {model._meta.db_table for model in apps.get_models()}  # noqa: SLF001 - Django's documented API
    assert {table for table in written.tables & ours if not table.startswith("directory_")} == set()
    assert written.tables & ours
