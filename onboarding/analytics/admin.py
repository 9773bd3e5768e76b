from django.contrib import admin

from onboarding.analytics.figure_models import PublishedFigure
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


@admin.register(PublishedFigure)
class PublishedFigureWindow(Window):
    list_display = ["period", "scope", "metric", "value", "n", "as_of", "definition_version"]
    list_filter = ["period"]
    search_fields = ["=scope", "=metric"]
    show_full_result_count = False
