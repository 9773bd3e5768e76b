"""What every window of the admin has in common: one looks, one never touches."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


class Window(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy, not at run time
    """A list and a page per row, read-only: what changes a row is a verb of its app's workflow."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - idem
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - idem
        return False
