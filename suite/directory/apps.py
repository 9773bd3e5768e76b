from django.apps import AppConfig


class DirectoryConfig(AppConfig):
    name = "suite.directory"

    def ready(self) -> None:
        """Make the settings of the directory exist."""
        from suite.directory import operators, thresholds  # noqa: F401, PLC0415 - registers them
