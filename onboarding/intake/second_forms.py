"""The acts that take two people as forms."""

from typing import Any

from django import forms
from dsfr.forms import DsfrBaseForm

from onboarding.intake.forms import LONG, text_field
from onboarding.intake.models import Dossier


class ReasonForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Why."""

    use_required_attribute = False
    reason = text_field("Motif", LONG, help_text=f"Il est conservé dans l’historique. {LONG} caractères au plus.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.fields["reason"].error_messages["required"] = "Écrivez le motif : il reste dans l’historique."


class ProposeForm(ReasonForm):
    """Under which name, what was checked, and why two people should accept."""

    rank = forms.TypedChoiceField(label="Nom accordé", coerce=int, widget=forms.RadioSelect)
    check = text_field("Ce que vous avez vérifié", LONG, required=False)
    field_order = ("rank", "check", "reason")

    def __init__(self, *args: Any, choices: list[tuple[int, str]], family: str, unproved: bool, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        rank = self.fields["rank"]
        assert isinstance(rank, forms.ChoiceField)  # noqa: S101 - tells the type
        rank.choices = choices
        if family == Dossier.Family.SHARED and not unproved:
            del self.fields["check"]


class ConfirmForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """What the second person adds, if anything."""

    use_required_attribute = False
    words = text_field("Ce que vous ajoutez", LONG, required=False, help_text="Pour vos collègues seulement.")
