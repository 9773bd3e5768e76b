from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "onboarding.provisioning"

    def ready(self) -> None:
        # Registered; the circuits are read before any fork.
        from onboarding.provisioning import checks, circuits, provider_checks  # noqa: F401, PLC0415
