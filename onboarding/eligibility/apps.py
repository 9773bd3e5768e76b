from django.apps import AppConfig


class EligibilityConfig(AppConfig):
    name = "onboarding.eligibility"
