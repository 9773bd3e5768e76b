"""What people type to have their old mail brought, or to choose the day of a cutover."""

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone
from dsfr.forms import DsfrBaseForm

from onboarding.provisioning.backends import imap

HOURS = [(str(hour), f"{hour} h") for hour in range(6, 23)]


class ImportForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """Where the old mail is, and how its holder enters there."""

    host = forms.CharField(
        label="Serveur de l’ancienne messagerie (IMAP)",
        help_text="Par exemple « imap.orange.fr », « imap.free.fr » ou « imap.gmail.com ». Votre fournisseur l’indique "
        "dans son aide. La connexion est toujours chiffrée.",
        max_length=253,
        error_messages={"required": "Écrivez le nom du serveur de l’ancienne messagerie."},
    )
    login = forms.CharField(
        label="Identifiant",
        help_text="Souvent l’ancienne adresse, en entier.",
        max_length=320,
        error_messages={"required": "Écrivez l’identifiant de l’ancienne boîte."},
    )
    password = forms.CharField(
        label="Mot de passe",
        help_text="Gardé chiffré le temps de la reprise, puis effacé. Si votre fournisseur demande un code par "
        "téléphone, créez chez lui un « mot de passe d’application ».",
        max_length=500,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Écrivez le mot de passe de l’ancienne boîte."},
    )
    with_bins = forms.BooleanField(label="Apporter aussi la corbeille et le courrier indésirable", required=False)

    def clean_host(self) -> str:
        """Check the name; a port after it counts only where tests and laptops allow it."""
        host, _, port = str(self.cleaned_data["host"]).strip().rstrip(".").lower().partition(":")
        if not imap.is_host(host) or (port and not port.isdigit()):
            raise forms.ValidationError("Écrivez le nom du serveur, par exemple « imap.exemple.fr ».")
        if port and not imap.may_use_port(int(port[:5])):
            raise forms.ValidationError("Écrivez le nom du serveur sans numéro de port : le 993 est employé.")
        self.cleaned_data["port"] = int(port[:5]) if port else imap.PORT
        return host

    def clean_login(self) -> str:
        """Refuse what no server takes."""
        login = str(self.cleaned_data["login"])
        if any(not char.isprintable() for char in login):
            raise forms.ValidationError("L’identifiant contient un caractère invisible : tapez-le de nouveau.")
        return login

    def clean_password(self) -> str:
        """Refuse what ends a command."""
        password = str(self.cleaned_data["password"])
        if "\0" in password or "\r" in password or "\n" in password:
            raise forms.ValidationError("Le mot de passe contient un caractère invisible : tapez-le de nouveau.")
        return password


class PlanForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """The hour of a cutover, and the commune's consent to it."""

    day = forms.DateField(
        label="Jour de la bascule",
        help_text="Au moins trois jours à l’avance. Préférez un matin de semaine, quand quelqu’un peut vérifier.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={
            "required": "Choisissez le jour de la bascule.",
            "invalid": "Écrivez le jour comme 31/12/2026.",
        },
    )
    hour = forms.ChoiceField(label="Heure (de Paris)", choices=HOURS, initial="8")
    nothing_to_bring = forms.BooleanField(
        label="Il n’y a pas d’ancien courrier à reprendre",
        help_text="Sinon, lancez d’abord la reprise de l’ancien courrier de vos boîtes.",
        required=False,
    )
    consent = forms.BooleanField(
        label="J’ai lu ces changements, et je suis d’accord pour que le courrier arrive à La Suite à cette date",
        error_messages={"required": "Cochez la case pour dire votre accord : sans lui, rien ne change."},
    )

    def clean(self) -> dict[str, Any]:
        """Join the day and the hour."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("day") and values.get("hour"):
            hour = dt.time(int(values["hour"]))
            values["at"] = timezone.make_aware(dt.datetime.combine(values["day"], hour))
        return values
