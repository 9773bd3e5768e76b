"""The settings of the demonstration's provider: nothing is shared with the product but where it is and its secret."""

import os
from pathlib import Path

from suite import embedded
from suite.demo.proconnect import place

_port = os.environ.get("PROCONNECT_PORT", "8001")
BASE_URL = os.environ.get("PROCONNECT_BASE_URL", f"http://127.0.0.1:{_port}")
ISSUER = f"{BASE_URL}/api/v2"
PRODUCT_URL = os.environ.get("PUBLIC_BASE_URL", "http://127.0.0.1:8000")
place.guard(BASE_URL, PRODUCT_URL)

CLIENT_ID = os.environ.get("OIDC_RP_CLIENT_ID", "suite-territoriale")
CLIENT_SECRET = os.environ.get("OIDC_RP_CLIENT_SECRET", "insecure-demonstration-client-secret")
REDIRECT_URI = f"{PRODUCT_URL}/connexion/retour/"
POST_LOGOUT_URI = f"{PRODUCT_URL}/deconnexion/retour/"
SCOPES = [
    "openid",
    "given_name",
    "usual_name",
    "email",
    "uid",
    "siret",
    "idp_id",
    "roles",
    "organization_label",
]
ACR_VALUES = ["eidas0", "eidas0-mfa", "eidas1", "eidas1-mfa", "eidas2", "eidas3"]

# What the registry beside it reads (`suite.demo.registry`).
LOCAL_WORLD = Path(os.environ.get("LOCAL_WORLD", embedded.LOCAL / "world.sqlite3"))

DEBUG = False
SECRET_KEY = place.secret_key()
ALLOWED_HOSTS = sorted({"127.0.0.1", "localhost", *os.environ.get("PROCONNECT_DEMO_HOSTS", "").split()})
ROOT_URLCONF = "suite.demo.proconnect.urls"
WSGI_APPLICATION = "suite.demo.proconnect.wsgi.application"
USE_TZ = True
TIME_ZONE = "Europe/Paris"
LANGUAGE_CODE = "fr"

INSTALLED_APPS = [
    "dsfr",
    "widget_tweaks",  # its form templates use it
    "django.forms",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.idp.oidc",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "csp.context_processors.nonce",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": place.LOCAL / "provider.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Codes live here: one process, four threads.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "proconnect"}}
# Only the client's secret is hashed, at each token call, and everybody knows it.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Cookies ignore ports: each name differs from the product's.
SESSION_COOKIE_NAME = "proconnect_session"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_NAME = "proconnect_csrf"
LANGUAGE_COOKIE_NAME = "proconnect_language"

AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "choose"
IDP_OIDC_ADAPTER = "suite.demo.proconnect.adapter.Adapter"
IDP_OIDC_PRIVATE_KEY = place.signing_key()
IDP_OIDC_AUTH_METHODS = ["client_secret_post"]
IDP_OIDC_USERINFO_ENDPOINT = f"{ISSUER}/userinfo"
IDP_OIDC_RP_INITIATED_LOGOUT_ASKS_FOR_OP_LOGOUT = False
IDP_OIDC_RATE_LIMITS = False

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
# Not "no-referrer": browsers would then post our own forms with a null origin, which the CSRF check refuses.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        # Choosing somebody is a POST that ends in a redirect to the product.
        "form-action": ["'self'", PRODUCT_URL],
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
