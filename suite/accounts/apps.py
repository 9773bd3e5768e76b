from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "suite.accounts"

    def ready(self) -> None:
        from suite.accounts import checks  # noqa: F401, PLC0415 - registers them
