"""What is written in a thread, as forms: two that nobody takes for one another."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from dsfr.forms import DsfrBaseForm

from onboarding.intake import thread_files
from onboarding.intake.forms import NBSP, text_field
from onboarding.intake.thread_files import Prepared
from onboarding.intake.thread_models import LONGEST
from suite.accounts import documents


class _Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """Several files, each looked into."""

    widget = _Files

    def clean(self, data: Any, initial: Any = None) -> list[Prepared]:  # noqa: ANN401 - Django's signature
        """Return the files prepared; one that is refused is said by its name."""
        given = data if isinstance(data, list | tuple) else [data] if data else []
        if len(given) > thread_files.MOST:
            raise forms.ValidationError(f"Joignez {thread_files.MOST} fichiers au plus.")
        found = []
        for one in given:
            file: UploadedFile[bytes] = super().clean(one, initial)
            if (file.size or 0) > documents.LARGEST:
                raise forms.ValidationError(f"«{NBSP}{file.name}{NBSP}» dépasse 5 Mo{NBSP}: envoyez-le en moins grand.")
            prepared = thread_files.prepare(file.name or "", file.read())
            if prepared.checked is None:
                raise forms.ValidationError(f"«{NBSP}{prepared.name}{NBSP}»{NBSP}: {prepared.reason}")
            found.append(prepared)
        return found


class MessageForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Words for the other side, and files."""

    use_required_attribute = False
    body = text_field("Votre message", LONGEST, rows=5)
    files = _FilesField(
        label="Pièces jointes",
        required=False,
        max_length=255,
        help_text=f"PDF, JPEG ou PNG, 5 Mo chacun, {thread_files.MOST} au plus.",
        error_messages={
            "empty": "Ce fichier est vide.",
            "invalid": "Ce fichier n’est pas arrivé : choisissez-le à nouveau.",
            "max_length": "Le nom d’un fichier est trop long : renommez-le.",
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **{"auto_id": "message_%s", **kwargs})
        self.fields["body"].error_messages |= {
            "required": "Écrivez votre message.",
            "max_length": f"Ce message est trop long{NBSP}: {LONGEST} caractères au plus.",
        }


class NoteForm(MessageForm):
    """Words for colleagues."""

    # Declared here, not changed in __init__: DSFR's own has bound the labels by then.
    body = text_field(
        "Votre note", LONGEST, rows=5, help_text="Nommez un collègue par « @Prénom Nom » : il en sera prévenu."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **{"auto_id": "note_%s", **kwargs})
        self.fields["body"].error_messages["required"] = "Écrivez votre note."


class EditForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """The words of a message, mended."""

    use_required_attribute = False
    body = text_field("Votre message", LONGEST, rows=5)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.fields["body"].error_messages |= {
            "required": "Écrivez votre message.",
            "max_length": f"Ce message est trop long{NBSP}: {LONGEST} caractères au plus.",
        }


class RhythmForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """How often what can wait comes."""

    use_required_attribute = False
    rhythm = forms.ChoiceField(
        label="Quand voulez-vous recevoir ce qui peut attendre ?",
        choices=[
            ("immediate", "Au fur et à mesure"),
            ("daily", "Une fois par jour, en un seul message"),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": "Choisissez un rythme.", "invalid_choice": "Choisissez un rythme de la liste."},
    )
