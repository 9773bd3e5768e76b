from django.contrib import admin

from suite.admin import Window
from suite.trade.models import Setting


@admin.register(Setting)
class SettingWindow(Window):
    list_display = ["recorded_at", "key", "scope", "version", "valid_from", "author", "reason"]
    list_filter = ["key"]
    show_full_result_count = False
