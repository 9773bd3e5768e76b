"""mozilla-django-oidc as it is shipped, in our site: its backend, its three views, its defaults.

What `proconnect.md` calls vanilla: RS256, PKCE and nonce on, the ID token stored, no class of ours in the sign-in. Only
what it cannot do without is ours: where the views stand, and how an account of our model is made.
"""

from tests.settings import *  # noqa: F403 - the same site, another sign-in

PROCONNECT_VANILLA = True
ROOT_URLCONF = "tests.proconnect.vanilla_urls"
AUTHENTICATION_BACKENDS = [
    "tests.proconnect.vanilla_urls.VanillaBackend",
    # Most sites that add the library keep Django's passwords for their administrators.
    "django.contrib.auth.backends.ModelBackend",
]
OIDC_CALLBACK_CLASS = "mozilla_django_oidc.views.OIDCAuthenticationCallbackView"
OIDC_AUTHENTICATE_CLASS = "mozilla_django_oidc.views.OIDCAuthenticationRequestView"
OIDC_TIMEOUT = None  # type: ignore[assignment]  # the library's default: wait for ever
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("suite.accounts.")]  # noqa: F405
