"""What people type about a mandate: a code, a choice of address, a file; and what operators write."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from dsfr.forms import DsfrBaseForm

from suite.accounts import codes, documents

ELECTED = "Mon mandat est électif (maire, adjointe, conseiller…)"
LONGEST_TYPED = 60


def _elected() -> forms.BooleanField:
    return forms.BooleanField(label=ELECTED, required=False)


class EmailCodeForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Which of the declared addresses receives the code; they are shown masked."""

    use_required_attribute = False
    address = forms.TypedChoiceField(
        label="Adresse officielle qui recevra le code",
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choisissez une des adresses proposées.",
            "invalid_choice": "Choisissez une des adresses proposées.",
        },
    )
    elected = _elected()

    def __init__(self, *args: Any, emails: list[str], **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **{"auto_id": "email_%s", **kwargs})
        field = self.fields["address"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        field.choices = [(index, codes.mask(email)) for index, email in enumerate(emails)]


class LetterForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """A letter has nothing to choose: its address is the directory's."""

    use_required_attribute = False
    elected = _elected()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **{"auto_id": "letter_%s", **kwargs})


class DocumentForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """A written mandate."""

    use_required_attribute = False
    file = forms.FileField(
        label="Arrêté, délibération ou attestation signée du maire",
        help_text="PDF, JPEG ou PNG, 5 Mo au plus.",
        max_length=255,
        error_messages={
            "required": "Choisissez le fichier à déposer.",
            "empty": "Ce fichier est vide.",
            "invalid": "Ce fichier n’est pas arrivé : choisissez-le à nouveau.",
            "max_length": "Le nom de ce fichier est trop long : renommez-le.",
        },
    )
    elected = _elected()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **{"auto_id": "document_%s", **kwargs})

    def clean_file(self) -> "UploadedFile[bytes]":
        """Refuse what is too large before it is read."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > documents.LARGEST:
            raise forms.ValidationError("Ce fichier dépasse 5 Mo : numérisez-le en moins grand.")
        return file


class CodeForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """A code that was received."""

    use_required_attribute = False
    code = forms.CharField(
        label="Code reçu",
        help_text="Majuscules, minuscules et espaces ne comptent pas.",
        max_length=LONGEST_TYPED,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autocapitalize": "characters"}),
        error_messages={"required": "Saisissez le code reçu.", "max_length": "Ce code est trop long."},
    )


class CaseCodeForm(CodeForm):
    """A code and the dossier it is about, as the letter gives them."""

    reference = forms.CharField(
        label="Référence de la demande",
        help_text="En tête du courrier, par exemple D-2026-00012.",
        max_length=20,
        error_messages={
            "required": "Saisissez la référence qui figure sur le courrier.",
            "max_length": "Cette référence est trop longue.",
        },
    )
    field_order = ("reference", "code")


class AcceptForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """What the operator read in the document."""

    use_required_attribute = False
    signatory = forms.CharField(
        label="Signataire",
        help_text="Nom et fonction.",
        max_length=100,
        error_messages={"required": "Écrivez qui a signé le document."},
    )
    signed_on = forms.DateField(
        label="Date du document",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"required": "Indiquez la date du document.", "invalid": "Cette date n’est pas valide."},
    )
    term_ends_on = forms.DateField(
        label="Fin du mandat du signataire",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Cette date n’est pas valide."},
    )


class ReasonForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Why, in words the person will read."""

    use_required_attribute = False
    reason = forms.CharField(
        label="Motif",
        help_text="Il sera envoyé tel quel à la personne. 500 caractères au plus.",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Écrivez pourquoi : la personne le lira."},
    )


class FindingForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """What the operator found about an objection, and which side it takes."""

    use_required_attribute = False
    outcome = forms.ChoiceField(
        label="Conclusion",
        choices=[
            ("uphold", "La mairie a raison : la personne n’agit plus pour elle"),
            ("dismiss", "C’était une erreur : ce qui était prouvé vaut à nouveau"),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": "Choisissez une conclusion.", "invalid_choice": "Choisissez une conclusion."},
    )
    finding = forms.CharField(
        label="Ce que vous avez vérifié, et auprès de qui",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Écrivez ce que vous avez vérifié, et auprès de qui."},
    )
