from django.contrib import admin

from suite.admin import Window
from suite.journal.models import Event


@admin.register(Event)
class EventWindow(Window):
    list_display = ["recorded_at", "stream", "subject", "seq", "kind", "actor", "request_id"]
    list_filter = ["stream", "kind"]
    search_fields = ["=subject", "=request_id"]
    date_hierarchy = "recorded_at"
    show_full_result_count = False
