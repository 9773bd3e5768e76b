from django.apps import AppConfig


class IntakeConfig(AppConfig):
    name = "onboarding.intake"

    def ready(self) -> None:
        """Make the settings of the requests exist."""
        from onboarding.intake import reserved, taking_away, trade  # noqa: F401, PLC0415 - registers them
