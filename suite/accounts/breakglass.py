"""Accounts of last resort, for the day ProConnect does not answer (`proconnect.md`, 3; rulings, 6).

Two at most, sealed; a password made here and never chosen, a second factor made with the account, one hour at a time;
no right on any commune; every use in the journal and announced to every operator. django-allauth keeps the factors.

A stranger's tries never stand in the holder's way: the first group of the password, which only the holder can present,
opens a count of its own, and whatever comes without it is refused before any count of the account is touched.
"""

import hashlib
import logging
import secrets
import string
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from uuid import UUID

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib import auth
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_variables

from suite.accounts import addresses, sessions
from suite.accounts.limits import allow
from suite.accounts.models import BreakGlass, User
from suite.journal.models import Event
from suite.journal.workflow import record
from suite.notices.workflow import queue

logger = logging.getLogger(__name__)

BACKEND = "suite.accounts.breakglass.BreakGlassBackend"
STREAM = "break-glass"
# Neither 0 and O nor 1, I and L: it is read from paper.
ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("01ilo")))
GROUPS, LETTERS = 4, 8  # 158 bits, of which the first group gives 39
STRANGERS = {"limit": 10, "seconds": 900}
HOLDERS = {"limit": 10, "seconds": 300}
FACTORS = {"limit": 6, "seconds": 300}


class Envelope(NamedTuple):
    """What is shown once, to be sealed."""

    name: str
    password: str
    totp_secret: str
    totp_url: str
    recovery_codes: tuple[str, ...]


class TooMany(Exception):
    """Both places are taken."""


class Taken(Exception):
    """Another account bears this name."""


# --- The verbs --------------------------------------------------------------------------------------------------------


@sensitive_variables()
@transaction.atomic
def create(name: str) -> Envelope:
    """Make an account with its second factor and its recovery codes. Raises TooMany, Taken."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('break-glass', 1))")
    taken = dict(BreakGlass.objects.values_list("place", "name"))
    if name in taken.values():
        raise Taken(name)
    free = [place for place in BreakGlass.PLACES if place not in taken]
    if not free:
        raise TooMany
    password = _password()
    user = User.objects.create_user(given_name="Compte de secours", usual_name=name, is_staff=True, is_superuser=True)
    user.set_password(password)
    user.save(update_fields=["password"])
    BreakGlass.objects.create(user=user, place=free[0], name=name, proof=_proof(user.pk, password))
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    codes = RecoveryCodes.activate(user).generate_codes()
    announce(record(STREAM, user.pk, "break_glass.created", by=None, payload={"place": free[0]}), user)
    return Envelope(name, password, secret, _totp_url(name, secret), tuple(codes))


@transaction.atomic
def remove(name: str) -> None:
    """Close an account: its factors go, its sessions end, its place is free. Raises BreakGlass.DoesNotExist."""
    account = BreakGlass.objects.select_for_update().select_related("user").get(name=name)
    user = account.user
    account.delete()
    Authenticator.objects.filter(user=user).delete()
    user.set_unusable_password()
    user.is_active = user.is_staff = user.is_superuser = False
    user.save(update_fields=["password", "is_active", "is_staff", "is_superuser"])
    sessions.end_all(user, by=None, reason="break_glass_removed")
    announce(record(STREAM, user.pk, "break_glass.removed", by=None), user)


def announce(event: Event, user: User) -> None:
    """Tell every operator, and the site's own address, of what happened to a break-glass account."""
    staff = User.objects.filter(is_active=True, operator_roles__active=True).exclude(email="")
    for address in sorted({settings.CONTACT_EMAIL, *staff.values_list("email", flat=True)}):
        context = {"what": WHAT[event.kind], "name": user.usual_name, "at": timezone.now(), "event": event}
        queue("break_glass", to=address, context=context, event=event)


WHAT = {
    "break_glass.created": "Le compte a été créé sur le serveur.",
    "break_glass.removed": "Le compte a été fermé sur le serveur.",
    "break_glass.used": "Quelqu’un vient de se connecter avec ce compte.",
    "break_glass.tried": "Quelqu’un présente le début de son mot de passe, ou un second facteur faux.",
}


# --- Who comes in -----------------------------------------------------------------------------------------------------


class BreakGlassBackend(BaseBackend):
    """Signs in a break-glass account, and nobody else; not allauth's backend, which remembers whom it refused."""

    @sensitive_variables()
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: object,  # noqa: ARG002 - what the other backend is given
    ) -> User | None:
        """Return the account of this name and password; None to any address that holds a code or a state."""
        if request is None or not username or not password or {"code", "state"} & request.GET.keys():
            return None
        account = BreakGlass.objects.select_related("user").filter(name=username).first()
        if account is None or not _may_sign_in(account.user) or not _proved(account, password):
            return None
        return account.user if account.user.check_password(password) else None

    def get_user(self, user_id: UUID) -> User | None:
        """Return the session's account as long as it could sign in again."""
        user = User.objects.filter(pk=user_id, break_glass__isnull=False).first()
        return user if user is not None and _may_sign_in(user) else None


def _may_sign_in(user: User) -> bool:
    """Whether the account is open, of the staff, with a second factor and unknown to ProConnect."""
    return (
        user.is_active
        and user.is_staff
        and not user.identities.exists()
        and Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    )


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """allauth, reduced to letting two accounts in."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "Ce nom et ce mot de passe ne vont pas ensemble. Recopiez-les de l’enveloppe.",
        "too_many_login_attempts": "Trop d’essais. Attendez un quart d’heure, puis recommencez : rien n’est bloqué.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        return False

    @sensitive_variables()
    def pre_authenticate(self, request: HttpRequest, **credentials: str) -> None:
        """Count the try: the holder's by the account, anybody else's by where it comes from."""
        account = BreakGlass.objects.filter(name=credentials.get("username") or "").first()
        if account is not None and _proved(account, credentials.get("password") or ""):
            counted = allow("break-glass holder", str(account.pk), **HOLDERS)
        else:
            counted = allow("break-glass stranger", addresses.visitor(request), **STRANGERS)
        if not counted:
            request.break_glass_limited = True  # type: ignore[attr-defined]  # read by `answered`
            raise self.validation_error("too_many_login_attempts")

    @sensitive_variables()
    def authentication_failed(self, request: HttpRequest, **credentials: str) -> None:  # noqa: ARG002 - allauth's
        """Write a failure in the journal; announce one that began like the real password."""
        account = BreakGlass.objects.select_related("user").filter(name=credentials.get("username") or "").first()
        if account is None:
            logger.warning("break-glass sign-in refused: no such account")
            return
        logger.warning("break-glass sign-in refused: account %s", account.pk)
        if _proved(account, credentials.get("password") or ""):
            tried(account.user, "password")
        else:
            record(STREAM, account.pk, "break_glass.refused", by=None, payload={"reason": "password"})

    def authenticate(self, request: HttpRequest, **credentials: str) -> User | None:
        """Ask the backends, without allauth's own counts, which lock an account for everybody."""
        self.pre_authenticate(request, **credentials)
        user = auth.authenticate(request, **credentials)
        if not isinstance(user, User):
            self.authentication_failed(request, **credentials)
            return None
        return user

    @transaction.atomic
    def login(self, request: HttpRequest, user: User) -> None:
        """Open the session from an empty one, journal it and tell the operators."""
        if not BreakGlass.objects.filter(user=user).exists() or not _may_sign_in(user):
            raise PermissionDenied("Ce compte n’est pas un compte de secours ouvert.")
        # After the second factor allauth has forgotten which backend it was, and would take the first of the list.
        user.backend = BACKEND
        kept = {key: request.session.get(key) for key in _RECORDS}
        request.session.flush()
        super().login(request, user)
        request.session.update({key: value for key, value in kept.items() if value is not None})
        sessions.start(request, user)
        request.session[sessions.LENGTH] = settings.BREAK_GLASS_SESSION_SECONDS
        announce(record(STREAM, user.pk, "break_glass.used", by=user), user)

    def reauthenticate(self, user: User, password: str) -> bool:
        return bool(user.check_password(password))

    def get_reauthentication_methods(self, user: User) -> list[dict[str, str]]:
        methods: list[dict[str, str]] = super().get_reauthentication_methods(user)
        if not methods:
            raise PermissionDenied("Cette page est celle des comptes de secours.")
        return methods

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("admin:index") if opened(request) else str(settings.LOGIN_REDIRECT_URL)

    def get_logout_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002 - allauth's signature
        return str(settings.LOGOUT_REDIRECT_URL)

    def is_safe_url(self, url: str | None) -> bool:
        return bool(url) and url_has_allowed_host_and_scheme(str(url), allowed_hosts=None)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:  # noqa: ARG002 - idem
        raise PermissionDenied("Ce compte est fermé.")

    def add_message(self, *args: object, **kwargs: object) -> None:
        """Say nothing: our pages speak."""

    def send_mail(self, *args: object, **kwargs: object) -> None:
        """Send nothing: only notices leave."""

    def send_notification_mail(self, *args: object, **kwargs: object) -> None:
        """Idem."""


_RECORDS = ("account_authentication_methods", "account_authentication_methods_user")


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """The secrets of the second factors, encrypted in the database."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "Ce code n’est pas le bon, ou il a déjà servi. Attendez le suivant.",
    }

    @sensitive_variables()
    def encrypt(self, text: str) -> str:
        return _keys().encrypt(text.encode()).decode()

    @sensitive_variables()
    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _keys().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            raise PermissionDenied(
                "Le second facteur de ce compte a été chiffré avec une autre clé (MFA_ENCRYPTION_KEYS)."
            ) from None

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:  # noqa: ARG002 - allauth's signature
        return False


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.MFA_ENCRYPTION_KEYS])


# --- What a session says ----------------------------------------------------------------------------------------------


class Factor(NamedTuple):
    """A second factor given in this session, `again` when it was for an act and not to come in."""

    at: float
    again: bool


def opened(request: HttpRequest) -> bool:
    """Whether a break-glass account opened this session."""
    return bool(request.session.get(BACKEND_SESSION_KEY) == BACKEND)


def last_factor(request: HttpRequest) -> Factor | None:
    """Return the last second factor given in this session."""
    records: list[Mapping[str, Any]] = get_authentication_records(request, request.user)
    factors = [one for one in records if one.get("method") == "mfa"]
    return Factor(float(factors[-1]["at"]), bool(factors[-1].get("reauthenticated"))) if factors else None


def has_factor(request: HttpRequest) -> bool:
    """Whether this session was opened with a second factor that its account still has."""
    owned = Authenticator.objects.filter(user=request.user.pk, type=Authenticator.Type.TOTP)
    return last_factor(request) is not None and owned.exists()


def tried(user: User, what: str) -> None:
    """Write that somebody holds a part of the envelope and not the rest; announce it once an hour."""
    event = record(STREAM, user.pk, "break_glass.tried", by=None, payload={"reason": what})
    if allow("break-glass alarm", str(user.pk), limit=1, seconds=3600):
        announce(event, user)


# --- The password -----------------------------------------------------------------------------------------------------


def _password() -> str:
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS))


def _proof(user: UUID, password: str) -> str:
    """Digest the first group: enough to tell the holder, and far from enough to be the holder."""
    return hashlib.sha256(f"{user}:{password[:LETTERS]}".encode()).hexdigest()


def _proved(account: BreakGlass, password: str) -> bool:
    return constant_time_compare(account.proof, _proof(account.pk, password))


def _totp_url(name: str, secret: str) -> str:
    """Return what an authenticator application reads, or a QR code of it."""
    label = quote(f"{settings.SITE_NAME}:{name}")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': settings.SITE_NAME}, quote_via=quote)}"
