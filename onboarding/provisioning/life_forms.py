"""What a manager or an operator types about a suite in service."""

from decimal import Decimal
from typing import Any

from django import forms
from dsfr.forms import DsfrBaseForm

from onboarding.provisioning import mailbox_names
from onboarding.provisioning.change_models import MoreRequest
from onboarding.provisioning.closure_models import Closure
from onboarding.provisioning.holdings import KINDS, PERSONAL, REDIRECT
from onboarding.provisioning.judging import AT_ONCE, NAME_MAX
from suite.catalog.models import GB


def reason_field(label: str, help_text: str = "Gardé au journal, avec votre nom.") -> forms.CharField:
    """Return the field where one says why."""
    return forms.CharField(
        label=label,
        help_text=help_text,
        min_length=5,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": f"{label} : écrivez-le en quelques mots.",
            "min_length": f"{label} : écrivez au moins %(limit_value)d caractères.",
            "max_length": f"{label} : écrivez au plus %(limit_value)d caractères.",
        },
    )


def gigabytes_field(label: str, *, required: bool, help_text: str = "") -> forms.DecimalField:
    """Return a field of decimal gigabytes."""
    return forms.DecimalField(
        label=label,
        required=required,
        help_text=help_text,
        min_value=Decimal("0.1"),
        max_value=Decimal(100_000),
        max_digits=8,
        decimal_places=1,
        localize=True,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={
            "required": f"{label} : indiquez un nombre de gigaoctets.",
            "invalid": f"{label} : indiquez un nombre, par exemple « 5 » ou « 2,5 ».",
            "min_value": f"{label} : indiquez au moins 0,1 Go.",
            "max_value": f"{label} : indiquez au plus %(limit_value)d Go.",
            "max_digits": f"{label} : ce nombre est trop grand.",
            "max_whole_digits": f"{label} : ce nombre est trop grand.",
            "max_decimal_places": f"{label} : indiquez au plus un chiffre après la virgule.",
        },
    )


def in_bytes(value: Decimal | None) -> int | None:
    """Return gigabytes as bytes."""
    return None if value is None else int(value * GB)


def _text(label: str, *, most: int, help_text: str = "", required: bool = False) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=most,
        required=required,
        help_text=help_text,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={
            "required": f"{label} : remplissez ce champ.",
            "max_length": f"{label} : {most} caractères au plus.",
        },
    )


class BoxForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """One mailbox to add. What is left empty among the address and the displayed name is proposed."""

    kind = forms.ChoiceField(
        label="Type",
        choices=list(KINDS.items()),
        initial=PERSONAL,
        error_messages={"required": "Type : choisissez.", "invalid_choice": "Type : choisissez dans la liste."},
    )
    given_name = _text("Prénom", most=60, help_text="Pour une boîte personnelle.")
    family_name = _text("Nom", most=60, help_text="Pour une boîte personnelle.")
    function = _text("Service", most=60, help_text="Par exemple « Urbanisme » : distingue deux personnes du même nom.")
    local_part = _text("Début de l’adresse", most=80, help_text="Avant le @ ; proposé s’il est vide.")
    display_name = _text("Nom affiché", most=NAME_MAX, help_text="Lu par les correspondants ; proposé s’il est vide.")
    recovery_email = _text("Adresse de secours", most=254, help_text="Hors du domaine : pour donner le premier accès.")
    targets = _text("Destinataires", most=2000, help_text="Pour une redirection : séparés par une virgule.")
    quota = gigabytes_field("Quota (Go)", required=False, help_text="Facultatif.")

    def clean_local_part(self) -> str:
        """Read the address as it will be written."""
        return mailbox_names.normalise(self.cleaned_data["local_part"])

    def clean(self) -> dict[str, Any]:
        """Ask for what a proposal needs."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        named = values.get("given_name") and values.get("family_name")
        if (
            values.get("kind") == PERSONAL
            and not named
            and not (values.get("local_part") and values.get("display_name"))
        ):
            self.add_error("family_name", "Indiquez le prénom et le nom de la personne.")
        if values.get("kind") in {"shared", REDIRECT} and not values.get("local_part"):
            self.add_error("local_part", "Indiquez le début de l’adresse, par exemple « mairie ».")
        return values


class _BaseBoxes(forms.BaseFormSet):  # type: ignore[type-arg]  # generic in the stubs only
    """The rows to add; the management form is the one of Django."""

    default_error_messages = {
        "missing_management_form": "Le formulaire est incomplet : rechargez la page.",
        "too_many_forms": f"Ajoutez {AT_ONCE} boîtes au plus à la fois.",
        "too_few_forms": "Ajoutez au moins une boîte.",
    }


BoxFormSet = forms.formset_factory(
    BoxForm, formset=_BaseBoxes, extra=0, min_num=1, max_num=AT_ONCE, validate_max=True, validate_min=True
)


class RenameForm(DsfrBaseForm):  # type: ignore[misc]
    """Another address, and for how long the former one still leads to it."""

    local_part = _text("Nouveau début de l’adresse", most=80, help_text="Avant le @.", required=True)
    kept = forms.TypedChoiceField(
        label="Garder l’ancienne adresse comme redirection",
        choices=[(183, "six mois"), (365, "un an"), (730, "deux ans")],
        coerce=int,
        initial=365,
        error_messages={"required": "Choisissez une durée.", "invalid_choice": "Choisissez une durée de la liste."},
    )

    def clean_local_part(self) -> str:
        """Read the address as it will be written."""
        return mailbox_names.normalise(self.cleaned_data["local_part"])


class DisplayNameForm(DsfrBaseForm):  # type: ignore[misc]
    """Another displayed name."""

    display_name = _text("Nom affiché", most=NAME_MAX, help_text="Celui que lisent les correspondants.", required=True)


class TargetsForm(DsfrBaseForm):  # type: ignore[misc]
    """Where a redirect leads."""

    targets = forms.CharField(
        label="Destinataires",
        help_text="Une adresse par ligne.",
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 5}),
        error_messages={
            "required": "Indiquez au moins une adresse vers laquelle rediriger.",
            "max_length": "Destinataires : 5 000 caractères au plus.",
        },
    )

    def clean_targets(self) -> list[str]:
        """Read one address per line, or between commas."""
        return split_targets(self.cleaned_data["targets"])


class QuotaForm(DsfrBaseForm):  # type: ignore[misc]
    """The bound of one mailbox; none means the domain's only."""

    quota = gigabytes_field("Quota (Go)", required=False, help_text="Vide : seul l’espace commun compte.")


class ReasonForm(DsfrBaseForm):  # type: ignore[misc]
    """Why."""

    reason = reason_field("Motif")


class RemoveForm(DsfrBaseForm):  # type: ignore[misc]
    """Why, and the address typed again: the second of the two steps."""

    address = _text("Retapez l’adresse de la boîte à supprimer", most=254, required=True)
    reason = reason_field("Motif")

    def __init__(self, *args: Any, wanted: str, **kwargs: Any) -> None:  # noqa: ANN401 - Django's signature
        super().__init__(*args, **kwargs)
        self.wanted = wanted

    def clean_address(self) -> str:
        """Refuse another address than the mailbox's."""
        typed = str(self.cleaned_data["address"]).strip().lower()
        if typed != self.wanted:
            raise forms.ValidationError(f"Ce n’est pas l’adresse de cette boîte : retapez « {self.wanted} ».")
        return typed


class MoreForm(DsfrBaseForm):  # type: ignore[misc]
    """What a manager asks its operator for, in all."""

    what = forms.ChoiceField(
        label="Que voulez-vous augmenter ?",
        choices=MoreRequest.What.choices,
        error_messages={"required": "Choisissez quoi augmenter.", "invalid_choice": "Choisissez dans la liste."},
    )
    wanted = gigabytes_field("Total voulu", required=True, help_text="Un nombre de boîtes, ou de gigaoctets, en tout.")
    reason = reason_field("Pourquoi", "Votre opérateur le lit pour décider.")

    def in_all(self) -> int:
        """Return the total, in boxes or in bytes."""
        value: Decimal = self.cleaned_data["wanted"]
        return int(value) if self.cleaned_data["what"] == MoreRequest.What.MAILBOXES else int(value * GB)

    def clean(self) -> dict[str, Any]:
        """Count mailboxes by whole numbers."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        wanted = values.get("wanted")
        if values.get("what") == MoreRequest.What.MAILBOXES and wanted is not None and wanted != int(wanted):
            self.add_error("wanted", "Indiquez un nombre entier de boîtes.")
        return values


class AnswerForm(DsfrBaseForm):  # type: ignore[misc]
    """What the operator decides of a request."""

    granted = forms.TypedChoiceField(
        label="Votre décision",
        choices=[("oui", "Accorder"), ("non", "Refuser")],
        coerce=lambda value: value == "oui",
        widget=forms.RadioSelect,
        empty_value=None,
        error_messages={
            "required": "Choisissez d’accorder ou de refuser.",
            "invalid_choice": "Choisissez une réponse.",
        },
    )
    answer = reason_field("Réponse", "La collectivité la lit.")


class SpaceForm(DsfrBaseForm):  # type: ignore[misc]
    """The quota of a whole space, which an operator changes."""

    quota = gigabytes_field("Nouveau quota (Go)", required=True)
    reason = reason_field("Motif")


class OpenClosureForm(DsfrBaseForm):  # type: ignore[misc]
    """Why a service ends."""

    cause = forms.ChoiceField(
        label="Pourquoi fermer",
        choices=[one for one in Closure.Cause.choices if one[0] != Closure.Cause.REVOKED],
        error_messages={"required": "Choisissez la raison.", "invalid_choice": "Choisissez dans la liste."},
    )
    reason = reason_field("Précisions")


def split_targets(typed: str) -> list[str]:
    """Return the addresses of a list typed with commas, semicolons or lines."""
    return [one.strip() for one in typed.replace(",", "\n").replace(";", "\n").splitlines() if one.strip()]
