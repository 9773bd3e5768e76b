from django.apps import AppConfig


class SuiteConfig(AppConfig):
    name = "suite"

    def ready(self) -> None:
        # The web processes queue tasks too: without this, theirs would go to Celery's default broker.
        import suite.celery  # noqa: F401, PLC0415 - settings first
