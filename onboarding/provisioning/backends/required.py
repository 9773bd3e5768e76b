"""What a backend cannot be built without: told by `manage.py check`, before any commune is concerned."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def require(*names: str) -> None:
    """Refuse to build a backend whose settings are missing, naming them all."""
    missing = [name for name in names if not getattr(settings, name)]
    if missing:
        raise ImproperlyConfigured(f"{', '.join(missing)} must be set")


def require_url(name: str) -> None:
    """Refuse an address that is not HTTP's."""
    require(name)
    if not str(getattr(settings, name)).startswith(("https://", "http://")):
        raise ImproperlyConfigured(f"{name} must begin with https:// (or http:// inside a private network)")
