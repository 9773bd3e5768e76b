"""The person one may invent."""

from django import forms
from dsfr.forms import DsfrBaseForm

from suite.accounts.siret import complete, is_valid
from suite.demo.proconnect import settings


class PersonForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr has no types
    """What ProConnect's own test provider asks."""

    given_name = forms.CharField(label="Prénom", max_length=100)
    usual_name = forms.CharField(label="Nom d’usage", max_length=100)
    email = forms.EmailField(
        label="Adresse électronique",
        help_text="La même adresse revient sous le même compte, quel que soit le SIRET.",
        error_messages={"invalid": "L’adresse électronique doit ressembler à nom@exemple.fr."},
    )
    siret = forms.CharField(
        label="SIRET de l’organisation",
        max_length=20,
        help_text="14 chiffres, ou le SIREN seul (9 chiffres), complété ici.",
    )
    acr = forms.ChoiceField(label="Niveau d’identification", required=False)
    public = forms.BooleanField(label="Agent public d’une collectivité", required=False, initial=True)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["acr"].choices = [(value, value) for value in settings.ACR_VALUES]
        self.fields["acr"].initial = "eidas1"

    def clean_siret(self) -> str:
        """Accept the SIRET as written on paper, and complete a SIREN."""
        siret = "".join(self.cleaned_data["siret"].split())
        if len(siret) == 9 and siret.isascii() and siret.isdigit():  # noqa: PLR2004 - a SIREN
            siret = complete(f"{siret}0001")
        if not is_valid(siret):
            raise forms.ValidationError(
                "Le SIRET doit avoir 14 chiffres et une clé juste ; un SIREN de 9 chiffres suffit."
            )
        return siret
