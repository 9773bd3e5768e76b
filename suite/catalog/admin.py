from django.contrib import admin

from suite.admin import Window
from suite.catalog.models import Service, Subscription, UsageSample


@admin.register(Service)
class ServiceWindow(Window):
    list_display = ["id", "name", "base", "threshold", "offered", "default_quota"]
    list_filter = ["base", "threshold", "offered"]


@admin.register(Subscription)
class SubscriptionWindow(Window):
    list_display = ["organization", "service", "operator", "active", "quota", "unlimited", "since"]
    list_filter = ["active", "service"]
    list_select_related = ["organization", "service", "operator"]
    search_fields = ["organization__name", "=organization__code"]


@admin.register(UsageSample)
class UsageSampleWindow(Window):
    list_display = ["week", "service", "organization", "weekly_users", "demonstration"]
    list_filter = ["service", "demonstration"]
    list_select_related = ["organization", "service"]
    search_fields = ["organization__name", "=organization__code"]
