from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "onboarding.provisioning"

    def ready(self) -> None:
        from onboarding.provisioning import checks, provider_checks  # noqa: F401, PLC0415 - registers them
