"""The house itself: closed doors, one name in three places, verbs only, and nothing that GET writes."""

import ast
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
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
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from suite.accounts.models import OperatorRole, User
from suite.notices import delivery
from tests.accounts.elevation import elevate
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.house import (
    ALL,
    BY_NAME,
    OURS,
    ROOT,
    TEMPLATES,
    address,
    beat,
    calls,
    dotted,
    nothing,
    queued,
    sources,
    view_of,
    where,
)

# --- What the house allows, by name -----------------------------------------------------------------------------------

PUBLIC = {
    "legal",
    "accessibility",
    "privacy",
    "healthz",
    "readyz",
    # What it costs, and what one would sign, are read before any account.
    "agreements:prices",
    "agreements:text",
    "agreements:text_pdf",
    # National figures, without the cells that are about too few.
    "analytics:public",
    # Who follows the link of a first access has no account yet.
    "provisioning:first",
    "provisioning:ready",
    "eligibility:home",
    "eligibility:organization",
    "accounts:login",
    "accounts:logged_out",
    # They stand where the admin's own would: its sign-in is ours.
    "accounts:admin_login",
    "accounts:admin_logout",
    "accounts:admin_password",
    # A town hall answers a letter without an account.
    "accounts:mandate_confirm",
    "accounts:mandate_object",
    "accounts:administrator_object",
    "oidc_authentication_init",
    "oidc_authentication_callback",
    "oidc_logout",
    "admin:login",
    # The break-glass sign-in (rulings, 6).
    "account_login",
    "account_logout",
    "mfa_authenticate",
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
    # Too many checks of names: one page for all who ask too often.
    "onboarding.intake.views._saved": "429.html",
    "onboarding.intake.name_views.proof": "429.html",
    # A refusal at sign-in has one page, whichever step of the protocol finds the reason.
    "suite.accounts.views.refuse": "accounts/refuse.html",
    # Every act of two people meets a dossier that moved on in the same way.
    "onboarding.intake.second_views._act": "intake/second/moved.html",
    # A file to keep, not a page of the site.
    "onboarding.intake.personal_views._file": "intake/personal/file.html",
    # The three decisions share the page that shows their messages before they leave.
    "onboarding.intake.desk_decisions._preview": "intake/desk_decisions/preview.html",
}
# Templates that another package renders: ours replace its own.
REPLACING = ("admin/", "dsfr/", "django/", "allauth/", "account/", "mfa/", "idp/")
# Who may change a state: the verbs (a module of them per noun in accounts), the engine that runs the steps, the
# delivery of what is queued.
DOORS = {
    *("workflow.py", "moves.py", "engine.py", "delivery.py", "personal_workflow.py"),
    *("proofs.py", "teams.py", "invitations.py", "relinks.py", "mandate_workflow.py", "mandate_desk_workflow.py"),
    *("inbound.py", "digests.py", "thread_files.py"),  # what came in, what is gathered, what clamd looked at
    "access_workflow.py",  # first credentials
    "coauthors.py",  # who edits a dossier with its author
    "ends.py",  # how steps ended, for the engine
    *("administrators.py", "blocks.py"),
    *("changes.py", "closing_workflow.py"),  # the suite in service, and its end
}
NEVER_NAMES = {"utils", "helpers", "common", "services", "constants", "core", "misc", "tools"}
MOST_LINES = 400
# Files that are allowed to be longer, with their reason.
LONGER = {
    # One table of acts and addresses, read as a whole.
    "suite/accounts/permissions.py",
    # One loop over its sockets: a question is followed from its asking to its answer.
    "onboarding/audits/engine.py",
    # One list of checks, a function each.
    "onboarding/intake/checklist.py",
    # The dossier's own table, with the constraints and indexes that hold its law.
    "onboarding/intake/models.py",
    # Every setting in one file: no tower of them.
    "suite/settings.py",
}


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
    beat()
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
        elevate(client)
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
    nothing(doors, "These models can be changed in the admin: make each a suite.admin.Window.")


@pytest.mark.parametrize("model", [one for one in admin.site._registry if one.__module__.startswith(OURS)])  # noqa: SLF001
@pytest.mark.django_db
def test_every_window_opens(
    client: Client, everywhere: User, model: type[models.Model], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(everywhere)
    elevate(client)
    with django_assert_max_num_queries(15):
        listed = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))  # noqa: SLF001

    assert listed.status_code == 200


# --- One name, three places -------------------------------------------------------------------------------------------


def rendered() -> Iterator[tuple[Path, str, str, ast.AST]]:
    """Yield each template that a module of views renders: the module, the function, the template, the place."""
    for path, tree in sources().items():
        if dotted(path) not in {view_of(pattern).__module__ for pattern in BY_NAME.values()}:
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
    views = {f"{view_of(pattern).__module__}.{view_of(pattern).__name__}" for pattern in BY_NAME.values()}
    for path, function, template, call in rendered():
        module, app, part = dotted(path), path.parent.name, path.stem.removesuffix("views").strip("_")
        # A second module of views, named for its audience, has a folder of its own.
        folder = f"{app}/{part}" if part else app
        siblings = {view.rpartition(".")[2] for view in views if view.rpartition(".")[0] == module}
        # What is no view itself serves several of them: it renders one of theirs.
        names = {function} if function in siblings else siblings
        expected = {f"{folder}/{name.rstrip('_')}.html" for name in names}
        if template not in expected | {TEMPLATE_OF.get(f"{module}.{function}")}:
            wrong.append(f"{where(path, call)}: {function} renders {template}")
    nothing(wrong, "Name the template after its view, or say why in TEMPLATE_OF.")


def test_every_template_is_used() -> None:
    named = {"emails/base.html", "emails/base.txt"}  # what every notice stands on
    for node in (node for tree in sources().values() for node in ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            # f"intake/{step}.html" may be any of that folder.
            named.add("".join(str(one.value) if isinstance(one, ast.Constant) else "*" for one in node.values))
    for path in TEMPLATES.rglob("*.*"):
        named |= set(re.findall(r"{%-?\s*(?:extends|include)\s+[\"']([^\"']+)", path.read_text()))
    named |= {f"emails/{kind}.{end}" for kind, _ in queued() for end in ("subject.txt", "txt", "html")}
    patterns = {name for name in named if "/*." in name or "/" in name.partition("*")[0]}
    unused = (
        name
        for name in (str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.*"))
        if name not in named and not name.startswith(REPLACING) and not any(fnmatch(name, one) for one in patterns)
    )
    nothing(unused, "Nothing uses these templates.")


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
    nothing(missing, "Each view has a test class of its name.")


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
    nothing(missing, "A notice has a subject, a text and an HTML body.")


def test_every_notice_stands_on_the_house_s_layout() -> None:
    bare = [
        str(path.relative_to(ROOT))
        for path in (TEMPLATES / "emails").iterdir()
        if not path.name.startswith("base.") and not path.name.endswith(".subject.txt")
        if f'{{% extends "emails/base{path.suffix}" %}}' not in path.read_text()
    ]
    nothing(bare, "It extends emails/base.txt or emails/base.html: « Démonstration », and who to write to.")


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
    nothing(wrong, "French typography:")


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
    nothing(wrong, f"States change in {', '.join(sorted(DOORS))} only.")


def test_no_file_is_named_for_nothing() -> None:
    places = [path for part in OURS for path in (ROOT / part).rglob("*")]
    nothing((str(path.relative_to(ROOT)) for path in places if path.stem in NEVER_NAMES), "Name it for what it holds.")


def test_no_file_is_too_long() -> None:
    files = [*sources(), *(ROOT / "tests").rglob("*.py")]
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    # A test file mirrors its module, and sentences are long.
    most = {name: MOST_LINES * 3 // 2 if name.startswith("tests/") else MOST_LINES for name in sizes}
    long = (f"{name}: {size}" for name, size in sizes.items() if size > most[name] and name not in LONGER)
    nothing(long, f"Split by noun or by audience what passes {MOST_LINES} lines.")


def test_nothing_reaches_the_network_by_urllib() -> None:
    wrong = [
        where(path, node)
        for path, tree in sources().items()
        if "demo" not in path.parts and path.stem != "doctor"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(one.name in {"urllib.request", "http.client"} for one in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module in {"urllib.request", "http.client"})
    ]
    nothing(wrong, "Use httpx, in a module that the contract allows.")


def test_every_text_column_is_bounded() -> None:
    unbounded = []
    for model in apps.get_models():
        if not model.__module__.startswith(OURS):
            continue
        for field in model._meta.get_fields():  # noqa: SLF001 - Django's documented API
            one = field.base_field if isinstance(field, ArrayField) else field
            if isinstance(one, models.CharField | models.TextField) and one.max_length is None:
                unbounded.append(f"{model.__name__}.{field.name}")
    nothing(unbounded, "Give each a max_length.")


# --- Celery -----------------------------------------------------------------------------------------------------------


def test_every_entry_of_the_beat_is_a_task() -> None:
    current_app.loader.import_default_modules()
    entries = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    nothing(entries - {str(name) for name in current_app.tasks}, "The beat wakes tasks that do not exist.")


def test_a_lease_outlives_the_task_that_holds_it() -> None:
    limit = settings.CELERY_TASK_TIME_LIMIT
    assert limit > settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert limit < settings.PROVISIONING_LEASE_SECONDS
    assert limit < delivery.LEASE.total_seconds()


def test_every_variable_of_the_settings_is_documented() -> None:
    documented = (ROOT / "docs" / "configuration.md").read_text()
    tree = ast.parse((ROOT / "suite" / "settings.py").read_text())
    read = {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert "DATABASE_URL" in read
    nothing((name for name in read if f"`{name}`" not in documented), "Say it in docs/configuration.md.")
