import allauth.account.admin
import allauth.mfa.admin  # noqa: F401 - registers what is replaced below
import django.contrib.auth.admin  # noqa: F401 - idem
import dsfr.admin  # noqa: F401 - idem
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from dsfr.models import DsfrConfig

from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.block_models import AccountBlock
from suite.accounts.models import BreakGlass, Identity, Membership, OperatorRole, User


class Window(admin.ModelAdmin):  # type: ignore[type-arg]  # any model
    """A way to look, for the site's team; nothing is changed here: the verbs are in `workflow.py`."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - Django's
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - idem
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - idem
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - idem
        return False


@admin.register(User)
class UserWindow(Window):
    list_display = ("get_full_name", "email", "is_active", "is_staff", "created_at")
    list_filter = ("is_active", "is_staff")
    search_fields = ("usual_name", "given_name", "email")
    fields = ("id", "email", "given_name", "usual_name", "is_active", "is_staff", "created_at", "last_login")
    ordering = ("usual_name", "given_name")


@admin.register(Identity)
class IdentityWindow(Window):
    list_display = ("user", "siret", "organization_label", "seen_at")
    list_select_related = ("user",)
    search_fields = ("siret", "user__usual_name", "user__email")


@admin.register(Membership)
class MembershipWindow(Window):
    list_display = ("user", "organization", "role", "state", "source", "changed_at")
    list_select_related = ("user", "organization")
    list_filter = ("state", "role", "source")
    search_fields = ("user__usual_name", "user__email", "organization__name")


@admin.register(OperatorRole)
class OperatorRoleWindow(Window):
    list_display = ("user", "operator", "role", "active")
    list_select_related = ("user", "operator")
    list_filter = ("active", "role", "operator")


# Doors of other packages: allauth would show secrets and delete factors, Django make groups, dsfr rename the site.
for model in (Authenticator, EmailAddress, EmailConfirmation, Group, DsfrConfig):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(BreakGlass)
class BreakGlassWindow(Window):
    list_display = ("name", "place", "created_at")
    fields = ("name", "place", "created_at")


@admin.register(Authenticator)
class FactorWindow(Window):
    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(AdministratorChange)
class AdministratorChangeWindow(Window):
    list_display = ("organization", "kind", "person", "state", "asked_at", "due_at")
    list_select_related = ("organization", "person")
    list_filter = ("state", "kind")
    exclude = ("objection_digest",)


@admin.register(AccountBlock)
class AccountBlockWindow(Window):
    list_display = ("user", "kind", "state", "asked_at", "decided_at")
    list_select_related = ("user",)
    list_filter = ("state", "kind")
