"""What an operator types about a blocked step."""

from django import forms
from dsfr.forms import DsfrBaseForm


class SkipForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """Why the building goes on without this step."""

    reason = forms.CharField(
        label="Pourquoi passer cette étape",
        help_text="Gardé au journal, avec votre nom. Par exemple : « boîte créée à la main le 3 mars ».",
        min_length=10,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": "Dites pourquoi passer cette étape.",
            "min_length": "Pourquoi passer cette étape : écrivez au moins %(limit_value)d caractères.",
            "max_length": "Pourquoi passer cette étape : écrivez au plus %(limit_value)d caractères.",
        },
    )


class ProofForm(DsfrBaseForm):  # type: ignore[misc]  # idem
    """What proves that a step was done outside."""

    proof = forms.CharField(
        label="Ce qui le prouve",
        help_text="Gardé au journal, avec votre nom. Par exemple : « boîte vue dans la console, ticket nº 4512 ».",
        min_length=10,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": "Dites ce qui prouve que l’étape est faite.",
            "min_length": "Ce qui le prouve : écrivez au moins %(limit_value)d caractères.",
            "max_length": "Ce qui le prouve : écrivez au plus %(limit_value)d caractères.",
        },
    )


class AbandonForm(DsfrBaseForm):  # type: ignore[misc]  # idem
    """Why nothing more is built."""

    reason = forms.CharField(
        label="Pourquoi abandonner cette mise en service",
        help_text="Gardé au journal, avec votre nom.",
        min_length=10,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": "Dites pourquoi abandonner.",
            "min_length": "Pourquoi abandonner : écrivez au moins %(limit_value)d caractères.",
            "max_length": "Pourquoi abandonner : écrivez au plus %(limit_value)d caractères.",
        },
    )
