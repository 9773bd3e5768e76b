"""What is typed around a dossier: whom to invite, why to be let in, what is wrong in the public data."""

from django import forms
from dsfr.forms import DsfrBaseForm

from onboarding.intake.forms import EMAIL, PARAGRAPH, text_field
from onboarding.intake.request_models import Claim

NBSP = "\u00a0"


class InviteForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Whom to invite."""

    use_required_attribute = False
    email = forms.EmailField(
        label="Adresse électronique de la personne",
        help_text="Celle de son compte ProConnect, écrite exactement ainsi.",
        max_length=EMAIL,
        error_messages={
            "required": "Écrivez l’adresse électronique de la personne à inviter.",
            "invalid": f"Cette adresse n’est pas complète{NBSP}: par exemple prenom.nom@mairie.example.",
            "max_length": f"Cette adresse est trop longue{NBSP}: {EMAIL} caractères au plus.",
        },
    )


class JoinForm(DsfrBaseForm):  # type: ignore[misc] # idem
    """Why to be let in."""

    use_required_attribute = False
    message = text_field(
        "Qui êtes-vous, et pourquoi rejoindre cette demande", PARAGRAPH, help_text=f"{PARAGRAPH} caractères au plus."
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["message"].error_messages["required"] = "Dites en quelques mots qui vous êtes."


class ClaimForm(DsfrBaseForm):  # type: ignore[misc] # idem
    """What is wrong in the public data, and what it should be."""

    use_required_attribute = False
    fact = forms.ChoiceField(
        label="Qu’est-ce qui est faux",
        choices=[("", "Choisissez"), *Claim.Fact.choices],
        error_messages={"required": "Choisissez ce qui est faux.", "invalid_choice": "Choisissez dans la liste."},
    )
    claimed = text_field("Ce qui serait juste", PARAGRAPH, rows=2)
    reason = text_field(
        "Comment le savez-vous", PARAGRAPH, help_text="Un arrêté, un recensement, la date d’un changement…"
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["claimed"].error_messages["required"] = "Écrivez ce qui serait juste."
        self.fields["reason"].error_messages["required"] = "Dites comment vous le savez."
