"""The house itself: closed doors, one name in three places, verbs only, and nothing that GET writes."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from suite.accounts.models import OperatorRole, User
from suite.notices import delivery
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
OURS = ("suite", "onboarding")

# --- What the house allows, by name -----------------------------------------------------------------------------------

PUBLIC = {
    "legal",
    "accessibility",
    "privacy",
    "healthz",
    "eligibility:home",
    "eligibility:organization",
    "accounts:login",
    "accounts:logged_out",
    # They stand where the admin's own would: its sign-in is ours.
    "accounts:admin_login",
    "accounts:admin_logout",
    "accounts:admin_password",
    "oidc_authentication_init",
    "oidc_authentication_callback",
    "oidc_logout",
    "admin:login",
}
# GET writes there: the protocol of OpenID Connect comes back by GET (rulings, 24).
WRITING = {"oidc_authentication_init", "oidc_authentication_callback"}
# Views whose template bears another name: why is said beside each.
TEMPLATE_OF = {
    # Django's error handlers render what Django names.
    "suite.views.bad_request": "400.html",
    "suite.views.forbidden": "403.html",
    "suite.views.not_found": "404.html",
    "suite.views.server_error": "500.html",
    "suite.views.csrf_failure": "403.html",
}
# Templates that another package renders: ours replace its own.
REPLACING = ("admin/", "dsfr/", "django/", "allauth/", "account/", "idp/")
# Who may change a state: the verbs, the engine that runs the steps, the delivery of what is queued.
DOORS = {"workflow.py", "engine.py", "delivery.py"}
NEVER_NAMES = {"utils", "helpers", "common", "services", "constants", "core", "misc", "tools"}
MOST_LINES = 400
LONGER: set[str] = set()  # files that are allowed to be longer, with their reason


# --- Ways to read the house -------------------------------------------------------------------------------------------


@cache
def sources() -> dict[Path, ast.Module]:
    """Return every module of the product, parsed."""
    files = [path for part in OURS for path in (ROOT / part).rglob("*.py") if "migrations" not in path.parts]
    return {path: ast.parse(path.read_text(), str(path)) for path in files}


def where(path: Path, node: ast.AST) -> str:
    """Name a place so that an editor can open it."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield the last name of each function called, and the call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node


def patterns(resolver: URLResolver | None = None, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield every named address of the site outside the admin's inside, with its full name."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            inner = ":".join(part for part in (namespace, entry.namespace) if part)
            yield from patterns(entry, inner)
        elif entry.name and (not namespace.startswith("admin") or entry.name in {"login", "index"}):
            yield f"{namespace}:{entry.name}" if namespace else entry.name, entry


def address(name: str, pattern: URLPattern) -> str:
    """Return an address of the pattern, with identifiers of nothing."""
    nothing = {"UUIDConverter": "00000000-0000-0000-0000-000000000000", "IntConverter": 0}
    converters = pattern.pattern.converters.items()
    return reverse(name, kwargs={key: nothing.get(type(one).__name__, "rien") for key, one in converters})


ALL = sorted(dict(patterns()))
BY_NAME = dict(patterns())


def view_of(pattern: URLPattern) -> Any:
    """Return the function, or the class, that we wrote."""
    return getattr(pattern.callback, "view_class", pattern.callback)


# --- Doors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(ALL) - PUBLIC))
@pytest.mark.django_db
def test_every_address_is_closed_to_visitors_but_the_listed_ones(client: Client, name: str) -> None:
    response = client.get(address(name, BY_NAME[name]))

    assert response.status_code == 302, f"{name} answers {response.status_code} to a visitor: list it in PUBLIC?"
    assert response["Location"].startswith((reverse("accounts:login"), reverse("admin:login")))


@pytest.fixture
def everywhere() -> User:
    """Make somebody for whom every door opens: the ANCT's lead, a commune's manager, the admin's superuser."""
    user = UserFactory.create(is_staff=True, is_superuser=True)
    OperatorRoleFactory.create(
        user=user, role=OperatorRole.Role.LEAD, operator=OperatorFactory.create(national_one=True)
    )
    MembershipFactory.create(user=user, manager=True)
    return user


def refuse_writes(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
    """Fail on what changes a table, but for the session's own."""
    if re.match(r"\s*(INSERT|UPDATE|DELETE|TRUNCATE|COPY)\b", sql, re.IGNORECASE) and "django_session" not in sql:
        raise AssertionError(f"a GET writes: {sql[:200]}")
    return execute(sql, params, many, context)


@pytest.mark.parametrize("name", sorted(set(ALL) - WRITING))
@pytest.mark.parametrize("signed_in", [False, True], ids=["visitor", "everywhere"])
@pytest.mark.django_db
def test_no_get_writes_or_breaks(client: Client, everywhere: User, name: str, signed_in: bool) -> None:  # noqa: FBT001 - a parameter
    if signed_in:
        client.force_login(everywhere)
    with connection.execute_wrapper(refuse_writes):
        response = client.get(address(name, BY_NAME[name]))
        if response.streaming:
            response.getvalue()

    assert response.status_code < 500


@pytest.mark.django_db
def test_the_admin_is_a_window(everywhere: User) -> None:
    request = RequestFactory().get("/admin/")
    request.user = everywhere
    doors = [
        model.__name__
        for model, window in admin.site._registry.items()  # noqa: SLF001 - Django offers no other list
        if model.__module__.startswith(OURS)
        and (
            window.has_add_permission(request)
            or window.has_change_permission(request)
            or window.has_delete_permission(request)
        )
    ]
    assert doors == [], "these models can be changed in the admin: make them a suite.admin.Window"


# --- One name, three places -------------------------------------------------------------------------------------------


def rendered() -> Iterator[tuple[Path, str, str, ast.AST]]:
    """Yield each template that a views module renders: the module, the function, the template, the place."""
    modules = {view_of(pattern).__module__ for pattern in BY_NAME.values()}
    for path, tree in sources().items():
        if ".".join(path.relative_to(ROOT).with_suffix("").parts) not in modules:
            continue
        for function in tree.body:
            if isinstance(function, ast.FunctionDef | ast.ClassDef):
                for name, call in calls(function):
                    if name in {"render", "render_to_string", "TemplateResponse"}:
                        for argument in call.args:
                            if isinstance(argument, ast.Constant) and str(argument.value).endswith(".html"):
                                yield path, function.name, str(argument.value), call


def test_a_template_is_named_after_its_view() -> None:
    wrong = []
    for path, function, template, call in rendered():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        folders = {path.parent.name, path.stem.removesuffix("views").strip("_") or path.parent.name}
        public = {node.name for node in sources()[path].body if isinstance(node, ast.FunctionDef)}
        # A private function serves several views; it renders one of theirs.
        names = {function} if not function.startswith("_") else {name for name in public if name[0] != "_"}
        expected = {f"{folder}/{name}.html" for folder in folders for name in names}
        if template not in expected | {TEMPLATE_OF.get(f"{module}.{function}")}:
            wrong.append(f"{where(path, call)}: {function} renders {template}")
    assert wrong == []


def test_every_template_is_used() -> None:
    named = {
        str(node.value)
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for path in TEMPLATES.rglob("*.*"):
        named |= set(re.findall(r"{%-?\s*(?:extends|include)\s+[\"']([^\"']+)", path.read_text()))
    named |= {"emails/base.html", "emails/base.txt"}  # what every notice stands on
    named |= {f"emails/{kind}.{end}" for kind, _ in queued() for end in ("subject.txt", "txt", "html")}
    files = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.*")}
    assert sorted(name for name in files - named if not name.startswith(REPLACING)) == []


def test_every_view_has_a_test_of_its_name() -> None:
    missing = []
    for name, pattern in BY_NAME.items():
        view = view_of(pattern)
        if not view.__module__.startswith(OURS):
            continue
        app = view.__module__.split(".")[-2]
        wanted = "Test" + "".join(word.capitalize() for word in view.__name__.split("_"))
        wanted = f"Test{view.__name__}" if isinstance(view, type) else wanted
        texts = [path.read_text() for path in (ROOT / "tests" / app).glob("test_*.py")]
        if not any(re.search(rf"^class {wanted}\b", text, re.MULTILINE) for text in texts):
            missing.append(f"{name}: no class {wanted} in tests/{app}/")
    assert missing == []


def queued() -> Iterator[tuple[str, str]]:
    """Yield each kind of notice that the code queues, and where."""
    for path, tree in sources().items():
        for name, call in calls(tree):
            if name == "queue" and any(keyword.arg == "to" for keyword in call.keywords):
                kind = call.args[0] if call.args else None
                literal = isinstance(kind, ast.Constant) and isinstance(kind.value, str)
                yield str(kind.value) if literal and isinstance(kind, ast.Constant) else "", where(path, call)


def test_every_notice_has_its_three_templates() -> None:
    missing = []
    for kind, place in queued():
        if not kind:
            missing.append(f"{place}: the kind of a notice is written out, so that this test can find it")
            continue
        for end in ("subject.txt", "txt", "html"):
            try:
                get_template(f"emails/{kind}.{end}")
            except TemplateDoesNotExist:
                missing.append(f"{place}: templates/emails/{kind}.{end} is missing")
    assert missing == []


def test_the_words_of_the_pages_are_set_as_french_is() -> None:
    markup = re.compile(
        r"{%\s*comment.*?endcomment\s*%}|{#.*?#}|{%.*?%}|{{.*?}}|<!--.*?-->|<(style|script).*?</\1>|<[^>]*>", re.DOTALL
    )
    # Attributes that people hear or see are words too.
    spoken = re.compile(r"(?:aria-label|title|alt|placeholder)=\"([^\"]*)\"")
    wrong = []
    for path in [*TEMPLATES.rglob("*.html"), *TEMPLATES.rglob("*.txt")]:
        text = path.read_text()
        # A placeholder keeps what stands on its two sides apart.
        words = [markup.sub("\x00", text), *spoken.findall(text)]
        for pattern, remedy in {
            r"\w'\w": "’ for '",
            r"(?<=\w) [:;?!»](?=\s|\x00|$)": "a no-break space before",
            r"« (?=\w)": "a no-break space after «",
            r"\.\.\.": "… for ...",
        }.items():
            wrong += [
                f"{path.relative_to(ROOT)}: {remedy}: …{part[max(found.start() - 20, 0) : found.end()]!r}"
                for part in words
                for found in re.finditer(pattern, part)
            ]
    assert wrong == []


# --- Verbs, names, sizes ----------------------------------------------------------------------------------------------


def test_only_verbs_change_states() -> None:
    wrong = []
    for path, tree in sources().items():
        if path.name in DOORS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AugAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                wrong += [
                    f"{where(path, node)}: .{target.attr} ="
                    for target in targets
                    if isinstance(target, ast.Attribute) and target.attr in {"status", "state"}
                ]
        wrong += [
            f"{where(path, call)}: .update({keyword.arg}=)"
            for name, call in calls(tree)
            if name == "update"
            for keyword in call.keywords
            if keyword.arg in {"status", "state"}
        ]
    assert wrong == [], f"states change in {', '.join(sorted(DOORS))} only"


def test_no_file_is_named_for_nothing() -> None:
    assert [where(path, tree) for path, tree in sources().items() if path.stem in NEVER_NAMES] == []
    assert [str(path) for part in OURS for path in (ROOT / part).rglob("*") if path.name in NEVER_NAMES] == []


def test_no_file_is_too_long() -> None:
    files = [*sources(), *(ROOT / "tests").rglob("*.py")]
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES and name not in LONGER} == {}


def test_nothing_reaches_the_network_by_urllib() -> None:
    wrong = [
        where(path, node)
        for path, tree in sources().items()
        if "demo" not in path.parts and path.stem != "doctor"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(one.name in {"urllib.request", "http.client"} for one in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module in {"urllib.request", "http.client"})
    ]
    assert wrong == []


def test_every_text_column_is_bounded() -> None:
    unbounded = []
    for model in apps.get_models():
        if not model.__module__.startswith(OURS):
            continue
        for field in model._meta.get_fields():  # noqa: SLF001 - Django's documented API
            one = field.base_field if isinstance(field, ArrayField) else field
            if isinstance(one, models.CharField | models.TextField) and one.max_length is None:
                unbounded.append(f"{model.__name__}.{field.name}")
    assert unbounded == [], "give each a max_length"


# --- Celery -----------------------------------------------------------------------------------------------------------


def test_every_entry_of_the_beat_is_a_task() -> None:
    current_app.loader.import_default_modules()
    entries = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert entries - set(current_app.tasks) == set()


def test_a_lease_outlives_the_task_that_holds_it() -> None:
    limit = settings.CELERY_TASK_TIME_LIMIT
    assert limit > settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert limit < settings.PROVISIONING_LEASE_SECONDS
    assert limit < delivery.LEASE.total_seconds()
