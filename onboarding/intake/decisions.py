"""The operators' decisions as forms."""

from collections.abc import Iterable
from typing import Any

from django import forms
from dsfr.forms import DsfrBaseForm

from onboarding.intake.forms import LONG, NBSP, text_field
from onboarding.intake.models import Dossier
from onboarding.intake.reasons import FIELDS, offered_changes, offered_rejections
from suite.accounts.models import User


class RejectForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Why, and what to tell the commune."""

    use_required_attribute = False
    reasons = forms.MultipleChoiceField(
        label="Motifs du refus",
        choices=offered_rejections,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choisissez au moins un motif de refus."},
    )
    message = text_field(
        "Message à la commune",
        LONG,
        help_text=f"Il sera envoyé tel quel. {LONG} caractères au plus.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.fields["message"].error_messages["required"] = (
            "Écrivez à la commune pourquoi sa demande est refusée et ce qu’elle peut faire."
        )


class ChangesForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """What to correct: reasons, the fields they open, and words."""

    use_required_attribute = False
    reasons = forms.MultipleChoiceField(
        label="Motifs",
        choices=offered_changes,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choisissez au moins un motif."},
    )
    fields_ = forms.MultipleChoiceField(
        label="Points de la demande à corriger",
        choices=[(code, f"Étape {field.step}{NBSP}: {field.label}") for code, field in FIELDS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Laissez vide pour ouvrir les points liés aux motifs choisis.",
    )
    text = text_field(
        "Message à la commune",
        LONG,
        required=False,
        help_text=f"Dites précisément ce qui est attendu. {LONG} caractères au plus.",
    )

    def clean(self) -> dict[str, Any]:
        """Ask for fields and words where the reason « Autre point » says neither."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if "other" in data.get("reasons", []):
            if not data.get("text"):
                self.add_error("text", f"«{NBSP}Autre point{NBSP}» demande une explication.")
            if not data.get("fields_"):
                self.add_error("fields_", "Désignez au moins un point de la demande à corriger.")
        return data


class ApproveForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Under which name, and what was checked by hand."""

    use_required_attribute = False
    rank = forms.TypedChoiceField(label="Nom accordé", coerce=int, widget=forms.RadioSelect)
    check = text_field("Ce que vous avez vérifié", LONG, required=False)
    derogation = text_field("Motif de la dérogation", LONG, required=False)

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - a form's own
        choices: list[tuple[int, str]],
        family: str,
        sensitive: bool,
        unproved: bool = False,
        **kwargs: Any,  # noqa: ANN401 - a form's own
    ) -> None:
        super().__init__(*args, **kwargs)
        rank = self.fields["rank"]
        assert isinstance(rank, forms.ChoiceField)  # noqa: S101 - tells the type
        rank.choices = choices
        if unproved and family == Dossier.Family.SHARED:
            self.fields["check"].help_text = "Comment vous avez vérifié que cette personne agit pour la mairie."
        elif family == Dossier.Family.SHARED:
            del self.fields["check"]
        else:
            self.fields["check"].help_text = (
                "Comment la commune a prouvé qu’elle détient ce nom."
                if family == Dossier.Family.EXISTING
                else "Comment vous avez vérifié que ce nom est libre au registre et que la commune peut le réserver."
            )
        if not sensitive:
            del self.fields["derogation"]


class AssignForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """To whom."""

    use_required_attribute = False
    assignee = forms.ChoiceField(
        label="Personne qui instruira la demande",
        error_messages={
            "required": "Choisissez une personne de la liste.",
            "invalid_choice": "Choisissez une personne de la liste.",
        },
    )

    def __init__(self, *args: Any, people: Iterable[User], **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        field = self.fields["assignee"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        field.choices = [("", "Choisissez"), *((str(person.pk), person.get_full_name()) for person in people)]
