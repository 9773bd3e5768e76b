"""Ways to read the house, for the tests of the house: its modules, its addresses, what it queues."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from suite.models import Heartbeat

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
OURS = ("suite", "onboarding")


@cache
def sources() -> dict[Path, ast.Module]:
    """Return every module of the product, parsed."""
    files = [path for part in OURS for path in (ROOT / part).rglob("*.py") if "migrations" not in path.parts]
    return {path: ast.parse(path.read_text(), str(path)) for path in files}


def nothing(found: Iterable[str], remedy: str) -> None:
    """Fail with every place found, one per line, and the remedy."""
    places = sorted(found)
    assert not places, "\n".join([remedy, *places])


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


def beat() -> None:
    """Let every task of the schedule have just ended well: the page of the site's health then says so."""
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        Heartbeat.objects.create(task=str(entry["task"]))


def dotted(path: Path) -> str:
    """Return the name by which the module is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def queued() -> Iterator[tuple[str, str]]:
    """Yield each kind of notice that the code queues, and where: "" for one that cannot be told from the code.

    A module may hand the kind on, by functions of its own whose first parameter is `kind`.
    """
    for path, tree in sources().items():
        hands = {"queue"} & {name for name, call in calls(tree) if any(one.arg == "to" for one in call.keywords)}
        if not hands:
            continue
        hands |= {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and [one.arg for one in node.args.args][:1] == ["kind"]
        }
        for name, call in calls(tree):
            if name in hands and call.args:
                kind = call.args[0]
                if isinstance(kind, ast.Constant):
                    yield str(kind.value), where(path, call)
                elif not isinstance(kind, ast.Name) or kind.id != "kind":
                    yield "", where(path, call)
