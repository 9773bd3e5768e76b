"""The operators' decisions as forms."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django import forms
from dsfr.forms import DsfrBaseForm
from dsfr.utils import dsfr_input_class_attr

from onboarding.intake.contents import row_label
from onboarding.intake.desk_models import Absence
from onboarding.intake.forms import LONG, NBSP, text_field
from onboarding.intake.models import Dossier, MailboxRequest
from onboarding.intake.reasons import CHANGES, FIELDS, Change, offered_changes, offered_rejections
from onboarding.intake.workflow import Point
from suite.accounts.models import User


class RejectForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Why, and what to tell the commune."""

    use_required_attribute = False
    reasons = forms.MultipleChoiceField(
        label="Motifs du refus",
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
        _choices(self.fields["reasons"], offered_rejections())
        self.fields["message"].error_messages["required"] = (
            "Écrivez à la commune pourquoi sa demande est refusée et ce qu’elle peut faire."
        )


def _offered() -> dict[str, Change]:
    return {code: CHANGES[code] for code, _ in offered_changes()}


class ChangesForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """What to correct: several reasons, each with the fields it opens and its own words."""

    use_required_attribute = False
    reasons = forms.MultipleChoiceField(
        label="Motifs",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choisissez au moins un motif."},
    )

    def __init__(self, *args: Any, mailboxes: Iterable[MailboxRequest] = (), **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        _choices(self.fields["reasons"], offered_changes())
        listed = [(str(row.pk), f"Boîte {number}{NBSP}: {row_label(row)}") for number, row in enumerate(mailboxes, 1)]
        for code, change in _offered().items():
            opened = change.unlocks or tuple(FIELDS)
            self.fields[f"fields-{code}"] = forms.MultipleChoiceField(
                label="Points à corriger",
                choices=[(field, f"Étape {FIELDS[field].step}{NBSP}: {FIELDS[field].label}") for field in opened],
                widget=forms.CheckboxSelectMultiple,
                required=False,
                help_text="" if not change.unlocks else "Aucun coché : tous seront ouverts.",
            )
            if "mailboxes" in opened and listed:
                self.fields[f"rows-{code}"] = forms.MultipleChoiceField(
                    label="Boîtes à corriger",
                    choices=listed,
                    widget=forms.CheckboxSelectMultiple,
                    required=False,
                    help_text="Celles-là seules seront ouvertes. Aucune cochée : toute la liste le sera, "
                    "et la commune pourra en ajouter.",
                )
            self.fields[f"text-{code}"] = text_field(
                "Ce qui est attendu", LONG, required=False, help_text=f"{LONG} caractères au plus."
            )
        self.fields["message"] = text_field(
            "Mot d’accompagnement", LONG, required=False, help_text="Pour l’ensemble, après les motifs."
        )
        for name in self.fields:
            if name != "reasons":  # dsfr dressed those of the class already
                dsfr_input_class_attr(self[name])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return each reason with its box, its fields and its words, for the page."""
        chosen = self["reasons"].value() or []
        boxes = {str(box.data["value"]): box for box in self["reasons"].subwidgets}
        return [
            {
                "code": code,
                "label": change.label,
                "id": boxes[code].id_for_label,
                "chosen": code in chosen,
                "fields": self[f"fields-{code}"],
                "boxes": self[f"rows-{code}"] if f"rows-{code}" in self.fields else None,
                "text": self[f"text-{code}"],
                "open": code in chosen or bool(self[f"text-{code}"].value()),
            }
            for code, change in _offered().items()
        ]

    def clean(self) -> dict[str, Any]:
        """Ask for fields and words where the reason « Autre point » says neither."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if "other" in data.get("reasons", []):
            if not data.get("text-other"):
                self.add_error("text-other", f"«{NBSP}Autre point{NBSP}» demande une explication.")
            if not data.get("fields-other") and not data.get("rows-other"):
                self.add_error("fields-other", "Désignez au moins un point de la demande à corriger.")
        return data

    def points(self) -> list[Point]:
        """Return the reasons chosen, each with its fields (its own when none was picked), its rows and its words."""
        data = self.cleaned_data
        found = []
        for code in data["reasons"]:
            rows = tuple(data.get(f"rows-{code}", ()))
            fields = tuple(data[f"fields-{code}"]) or CHANGES[code].unlocks
            if rows and "mailboxes" not in fields:
                fields = (*fields, "mailboxes")
            found.append(Point(code, fields, data[f"text-{code}"], rows if "mailboxes" in fields else ()))
        return found


def _choices(field: forms.Field, choices: list[tuple[str, str]]) -> None:
    assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
    field.choices = choices


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
    """To whom; who is away is said beside its name."""

    use_required_attribute = False
    assignee = forms.ChoiceField(
        label="Personne qui instruira la demande",
        error_messages={
            "required": "Choisissez une personne de la liste.",
            "invalid_choice": "Choisissez une personne de la liste.",
        },
    )

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - a form's own
        people: Iterable[User],
        away: Mapping[UUID, Absence],
        **kwargs: Any,  # noqa: ANN401 - a form's own
    ) -> None:
        super().__init__(*args, **kwargs)
        named = [(str(person.pk), person.get_full_name() + _until(away.get(person.pk))) for person in people]
        _choices(self.fields["assignee"], [("", "Choisissez"), *named])


def _until(absence: Absence | None) -> str:
    return f" (absence jusqu’au {absence.last_day:%d/%m/%Y})" if absence else ""
