from django.contrib import admin

from onboarding.agreements.handover_models import Handover
from onboarding.agreements.models import Acceptance, Text
from suite.admin import Window


@admin.register(Text)
class TextWindow(Window):
    list_display = ("title", "operator", "kind", "number", "effective_on", "published_at")
    list_filter = ("kind",)
    list_select_related = ("operator",)


@admin.register(Acceptance)
class AcceptanceWindow(Window):
    list_display = ("text", "organization", "mandate", "accepted_at")
    list_select_related = ("text", "organization")


@admin.register(Handover)
class HandoverWindow(Window):
    list_display = ("organization", "since", "outcome", "opened_at", "closed_at")
    list_select_related = ("organization",)
