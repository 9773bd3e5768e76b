"""R19, R20. Upstream's GETs create rows, call the registry, and sleep. Ours cannot: PostgreSQL itself refuses a write.

Every address of the table of rights is asked for, about things that exist, in each role, in a transaction that
PostgreSQL was told is read-only, with sockets closed. Sessions are kept out of the database, where they may be written.
"""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import InternalError
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from suite.accounts.models import OperatorRole, User
from suite.accounts.permissions import ADDRESSES, Role
from tests.accounts.elevation import elevate
from tests.accounts.test_permissions import DOSSIER, World, about
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.house import ROOT, sources, where

pytestmark = pytest.mark.django_db
# The protocol of OpenID Connect comes back by GET (rulings, 24), and starts by writing down what it will check.
WRITING = {"oidc_authentication_init", "oidc_authentication_callback"}
READ = sorted(name for name, address in ADDRESSES.items() if address.get and name not in WRITING | {"admin:*"})
ROLES = (Role.VISITOR, Role.STRANGER, Role.MANAGER, Role.INSTRUCTOR, Role.AWAY_LEAD, Role.SUPERADMIN)
# A dossier before it is sent, in the operator's hands, in the commune's, and once decided.
STATUSES = ("draft", "in_review", "needs_changes", "approved")
ABOUT_A_DOSSIER = (Role.STRANGER, Role.REQUESTER, Role.INSTRUCTOR, Role.SUPERADMIN)
REFUSED = "read-only transaction"


@pytest.fixture(autouse=True)
def _sessions_elsewhere(settings: Settings) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"


@pytest.fixture
def world(db: None) -> World:
    return World()


def people(world: World) -> list[User | None]:
    """Return one person per role, and the national operator's lead, for whom the most opens."""
    national: User = UserFactory.create()
    OperatorRoleFactory.create(
        user=national, role=OperatorRole.Role.LEAD, operator=OperatorFactory.create(national_one=True)
    )
    return [*(world.people[role] for role in ROLES), national]


# One for all: each would load the middleware anew.
CLIENT = Client()


def read_only(user: User | None, url: str, query: dict[str, str]) -> HttpResponse:
    """Ask by GET where PostgreSQL refuses every write; what a view wrote would raise, whatever the view caught."""
    CLIENT.cookies.clear()
    with transaction.atomic():
        if user:
            CLIENT.force_login(User.objects.get(pk=user.pk))
            elevate(CLIENT)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        response: Any = CLIENT.get(url, query)
        if response.streaming:
            b"".join(response)
        transaction.set_rollback(True)
    answered: HttpResponse = response
    return answered


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in READ if name not in DOSSIER])
def test_r19_no_get_of_any_address_writes_or_calls_out(world: World, name: str) -> None:
    for user in people(world):
        url = reverse(name, kwargs=world.kwargs(name, user))
        assert read_only(user, url, world.query(name)).status_code < 500


@pytest.mark.slow
@pytest.mark.parametrize("status", STATUSES)
def test_r19_no_get_about_a_dossier_writes_or_calls_out(world: World, status: str) -> None:
    dossier = world.dossier(status)
    for name in sorted(set(READ) & set(DOSSIER)):
        kwargs = about(dossier, name)
        for step in (1, 2, 3, 4, 5) if name == "intake:step" else (None,):
            url = reverse(name, kwargs={**kwargs, **({"step": step} if step else {})})
            for role in ABOUT_A_DOSSIER:
                assert read_only(world.people[role], url, {}).status_code < 500


def test_r19_the_walk_knows_every_address_one_may_read() -> None:
    assert len(READ) > 50
    assert {name for name, address in ADDRESSES.items() if address.get} == {*READ, *WRITING, "admin:*"}


class TestTheGuards:
    """A guard that refuses nothing proves nothing."""

    @pytest.fixture(autouse=True)
    def _views(self, settings: Settings) -> None:
        settings.ROOT_URLCONF = "tests.regressions.calling_out"

    def test_r19_a_view_that_writes_is_caught(self) -> None:
        with pytest.raises(InternalError, match=REFUSED):
            read_only(None, "/writing/", {})

    def test_r20_a_view_that_calls_out_is_caught(self) -> None:
        # The guard warns first, and a warning is an error here.
        with pytest.raises(Exception, match="tried to use socket"):
            read_only(None, "/out/", {})


def test_r20_sockets_are_closed_in_every_test_but_those_about_the_network() -> None:
    open_ = {"live", "browser", "proconnect"}
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if "Client" in path.read_text()]
    views = {path.parent.name for path in tests if not open_ & set(path.parts)}
    assert {"accounts", "intake", "provisioning", "eligibility", "analytics", "suite", "regressions"} <= views
    opening = [path for path in (ROOT / "tests").rglob("*.py") if "enable_socket" in path.read_text()]
    assert {path.parent.name for path in opening if path != Path(__file__)} <= {"tests", *open_}


def test_r20_nothing_that_a_request_runs_sleeps() -> None:
    """Waiting is for what runs apart: the demonstration, the management commands, the workers' own modules."""
    apart = {"demo", "rehearsal", "commands", "backends", "embedded.py", "resolver.py"}
    sleeping = [
        where(path, node)
        for path, tree in sources().items()
        if not apart & {*path.parts}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ((isinstance(node.func, ast.Attribute) and node.func.attr == "sleep")
             or (isinstance(node.func, ast.Name) and node.func.id == "sleep"))
    ]  # fmt: skip
    assert sleeping == []
