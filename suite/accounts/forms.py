"""What is typed about people's rights."""

from typing import Any

from django import forms
from dsfr.forms import DsfrBaseForm


def why(label: str, help_text: str) -> forms.CharField:
    """Return the field where somebody says why, in ten characters at least."""
    return forms.CharField(
        label=label,
        help_text=help_text,
        min_length=10,
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": f"{label} : dites pourquoi en quelques mots.",
            "min_length": f"{label} : écrivez au moins %(limit_value)d caractères.",
            "max_length": f"{label} : écrivez au plus %(limit_value)d caractères.",
        },
    )


def _role(label: str = "Rôle") -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        error_messages={
            "required": "Choisissez un rôle dans la liste.",
            "invalid_choice": "Ce rôle n’est pas de ceux que vous pouvez donner : choisissez-en un dans la liste.",
        },
    )


class RightForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """What the forms about rights have in common: the roles that the person may give."""

    use_required_attribute = False

    def __init__(self, *args: Any, roles: list[tuple[str, str]] | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        if "role" in self.fields:
            self.fields["role"].choices = roles or []


class InviteForm(RightForm):
    """Whom to invite, as what."""

    email = forms.EmailField(
        label="Adresse électronique professionnelle",
        help_text="Celle du compte ProConnect de la personne, écrite exactement comme dans ce compte. "
        "Par exemple : prenom.nom@mairie.example",
        max_length=254,
        error_messages={
            "required": "Écrivez l’adresse électronique de la personne à inviter.",
            "invalid": "Cette adresse n’est pas complète. Elle doit ressembler à prenom.nom@mairie.example.",
            "max_length": "Cette adresse est trop longue : 254 caractères au plus.",
        },
    )
    role = _role()


class RoleForm(RightForm):
    """Another role."""

    role = _role("Nouveau rôle")


class ReasonForm(RightForm):
    """Why a right is suspended, ended, restored."""

    reason = why("Motif", "Gardé au journal avec votre nom, et envoyé à la personne.")


class JoinForm(RightForm):
    """Why somebody asks to join."""

    message = forms.CharField(
        label="Qui êtes-vous pour cette collectivité ?",
        help_text="Votre fonction, et ce que vous avez à y faire. Les personnes qui répondent liront ce message.",
        min_length=10,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={
            "required": "Dites qui vous êtes pour cette collectivité.",
            "min_length": "Dites qui vous êtes pour cette collectivité en %(limit_value)d caractères au moins.",
            "max_length": "Votre message est trop long : %(limit_value)d caractères au plus.",
        },
    )


class CheckForm(RightForm):
    """How an identity was verified, or why it is refused."""

    reason = why(
        "Ce que vous avez vérifié",
        "Qui avez-vous appelé, à quel numéro public, quand ? Gardé au journal. En cas de refus, dites pourquoi.",
    )
