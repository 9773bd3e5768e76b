"""The forms of the break-glass sign-in, allauth's under the State's design system."""

from allauth.account.forms import LoginForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django import forms
from dsfr.forms import DsfrBaseForm

from suite.accounts import breakglass
from suite.accounts.limits import allow

REUSE = 120  # seconds, more than a code of six digits lives


class BreakGlassForm(LoginForm, DsfrBaseForm):  # type: ignore[misc]  # neither has types
    """The name and the password of the envelope."""

    password = forms.CharField(
        label="Mot de passe",
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="Quatre groupes de huit caractères, tirets compris.",
        error_messages={"required": "Donnez le mot de passe, écrit dans l’enveloppe."},
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        # allauth makes this one as it goes.
        self.fields["login"] = forms.CharField(
            label="Nom du compte de secours",
            max_length=40,
            widget=forms.TextInput(attrs={"autocomplete": "username", "class": "fr-input"}),
            error_messages={"required": "Donnez le nom du compte, écrit sur l’enveloppe."},
        )
        self.order_fields(["login", "password"])


def _code() -> forms.CharField:
    return forms.CharField(
        label="Code à usage unique",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        help_text="Six chiffres de l’application, ou l’un des codes de récupération de l’enveloppe.",
        error_messages={"required": "Donnez un code de l’application ou de l’enveloppe."},
    )


class _Counted(DsfrBaseForm):  # type: ignore[misc]  # idem
    """A code of the authenticator application, or a recovery code."""

    def clean_code(self) -> str:
        """Count the tries of whoever holds the password; a code serves once, as long as it lives."""
        key = str(self.user.pk)
        if not allow("break-glass factor", key, **breakglass.FACTORS):
            context.request.break_glass_limited = True
            raise forms.ValidationError("Trop de codes faux. Attendez cinq minutes, puis recommencez.")
        try:
            code = str(super().clean_code())
        except forms.ValidationError:
            breakglass.tried(self.user, "factor")
            raise
        if not allow("break-glass code", f"{key} {code}", limit=1, seconds=REUSE):
            raise get_adapter().validation_error("incorrect_code")
        return code


class FactorForm(_Counted, AuthenticateForm):  # type: ignore[misc]  # idem
    """The second factor, to come in."""

    code = _code()


class FactorAgainForm(_Counted, ReauthenticateForm):  # type: ignore[misc]  # idem
    """The second factor, before a sensitive act."""

    code = _code()
