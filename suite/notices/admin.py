from django.contrib import admin

from suite.admin import Window
from suite.notices.models import Notice


@admin.register(Notice)
class NoticeWindow(Window):
    list_display = ["kind", "state", "attempts", "created_at", "next_at", "sent_at", "error"]
    list_filter = ["state", "kind"]
    search_fields = ["=recipient", "=id"]
    date_hierarchy = "created_at"
    # A message may carry a code that still serves: the window says that it left, not what it says.
    exclude = ["body_text", "body_html"]
