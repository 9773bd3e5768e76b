"""What is typed about the managers of a collectivité."""

from typing import Any

from django import forms

from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.forms import RightForm, why
from suite.accounts.models import Membership

Kind = AdministratorChange.Kind


def _who(label: str, help_text: str = "", *, required: bool = True) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        help_text=help_text,
        required=required,
        error_messages={
            "required": f"{label} : choisissez une personne dans la liste.",
            "invalid_choice": f"{label} : choisissez une personne dans la liste.",
        },
    )


class ChangeForm(RightForm):
    """Which change, for whom; who is lost, and whose mandate stands for the collectivité, when an operator asks."""

    kind = forms.ChoiceField(
        label="Ce que vous demandez",
        choices=Kind.choices,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choisissez ce que vous demandez.",
            "invalid_choice": "Choisissez ce que vous demandez dans la liste.",
        },
    )
    person = _who(
        "Personne concernée",
        "Celle qui sera nommée, retirée, ou dont l’adresse change. Elle fait déjà partie de l’équipe.",
    )
    replaced = _who(
        "Gestionnaire remplacé",
        "Pour rétablir une gestion perdue : la personne qui ne peut plus agir. Son droit prendra fin.",
        required=False,
    )
    email = forms.EmailField(
        label="Nouvelle adresse de secours",
        help_text="Pour changer une adresse de secours seulement. Par exemple : prenom.nom@exemple.fr",
        required=False,
        max_length=254,
        error_messages={
            "invalid": "Cette adresse n’est pas complète. Elle doit ressembler à prenom.nom@exemple.fr.",
            "max_length": "Cette adresse est trop longue : 254 caractères au plus.",
        },
    )
    speaker = _who(
        "Au nom de qui",
        "La personne de la collectivité dont l’habilitation est prouvée par deux voies.",
        required=False,
    )
    reason = why("Motif", "Lu par la seconde personne, par les gestionnaires et par la mairie.")

    def __init__(self, *args: Any, members: list[Membership], manages: bool, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        names = [(str(right.user_id), _named(right)) for right in members]
        leading = [(str(right.user_id), _named(right)) for right in members if right.role == Membership.Role.MANAGER]
        live = {Membership.State.PENDING, Membership.State.ACTIVE}
        here = [one for one, right in zip(names, members, strict=True) if right.state in live]
        blank = [("", "Personne")]
        self.fields["person"].choices = [("", "Choisissez"), *here]
        self.fields["replaced"].choices = [*blank, *leading]
        self.fields["speaker"].choices = [("", "La personne concernée"), *here]
        if manages:  # its own mandate stands for the collectivité
            del self.fields["speaker"]

    def clean(self) -> dict[str, Any]:
        """Ask for what the kind of change needs, and for nothing that it would ignore."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        kind, email = data.get("kind"), data.get("email")
        if kind == Kind.EMAIL and not email and "email" not in self.errors:
            self.add_error("email", "Écrivez la nouvelle adresse de secours.")
        if kind and kind != Kind.EMAIL and email:
            self.add_error(
                "email", "Une adresse de secours ne se change que par la demande de ce nom : effacez-la ici."
            )
        if kind and kind != Kind.RECOVER and data.get("replaced"):
            self.add_error("replaced", "On ne remplace quelqu’un que pour rétablir une gestion perdue.")
        if data.get("replaced") and data.get("replaced") == data.get("person"):
            self.add_error("replaced", "Une personne ne se remplace pas elle-même.")
        return data


class DecisionForm(RightForm):
    """What was verified, or why not."""

    reason = why(
        "Ce que vous avez vérifié, ou votre motif",
        "Qui avez-vous appelé à la mairie, à quel numéro public, quand ? Gardé au journal avec votre nom.",
    )


class FindingForm(DecisionForm):
    """Which side the lead takes about an objection."""

    outcome = forms.ChoiceField(
        label="Conclusion",
        choices=[
            ("uphold", "L’objection est fondée : rien ne sera changé"),
            ("dismiss", "C’était une erreur : un nouveau délai de 48 heures commence"),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": "Choisissez une conclusion.", "invalid_choice": "Choisissez une conclusion."},
    )
    field_order = ("outcome", "reason")


def _named(right: Membership) -> str:
    state = "" if right.state == Membership.State.ACTIVE else f", droit {right.get_state_display().lower()}"
    return f"{right.user.get_full_name()} ({right.get_role_display().lower()}{state})"
