from django.contrib import admin

from onboarding.analytics.models import PilotGroup, PilotMember
from suite.admin import Window


@admin.register(PilotGroup)
class PilotGroupWindow(Window):
    list_display = ["name", "slug", "created_at"]


@admin.register(PilotMember)
class PilotMemberWindow(Window):
    list_display = ["organization", "group", "since"]
    list_filter = ["group"]
    list_select_related = ["organization", "group"]
    search_fields = ["organization__name", "=organization__code"]
