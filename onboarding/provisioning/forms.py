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
