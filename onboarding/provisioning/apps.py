from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "onboarding.provisioning"

    def ready(self) -> None:
        from onboarding.provisioning import checks, circuits  # noqa: F401, PLC0415 - registered; read before any fork
