"""What is typed about the texts, their acceptance and the handover."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from dsfr.forms import DsfrBaseForm

from onboarding.agreements.handover_models import Handover
from onboarding.agreements.models import LONGEST_TEXT, PriceLine, Text
from onboarding.agreements.workflow import FARTHEST, Draft, Price

NBSP = "\u00a0"
MOST_PRICES = 40
SPARE = 3


class AcceptForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """Which texts, and in which capacity."""

    use_required_attribute = False
    texts = forms.MultipleChoiceField(
        label="Textes que j’accepte au nom de la collectivité",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Cochez au moins un texte, après l’avoir lu.",
            "invalid_choice": "Un texte a changé depuis l’affichage de cette page : relisez-le, puis acceptez-le.",
        },
    )
    function = forms.CharField(
        label="Votre fonction dans la collectivité",
        max_length=100,
        help_text=f"Par exemple{NBSP}: maire, adjointe au maire, secrétaire de mairie.",
        error_messages={"required": "Indiquez votre fonction dans la collectivité."},
    )

    def __init__(self, *args: Any, texts: Iterable[Text], **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        field = self.fields["texts"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        field.choices = [(str(text.pk), f"{text.title} ({text.version})") for text in texts]


class ConfirmForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """What an operator's person verified."""

    use_required_attribute = False
    check_text = forms.CharField(
        label="Ce que vous avez vérifié, et auprès de qui",
        min_length=10,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={
            "required": "Écrivez ce que vous avez vérifié, et auprès de qui.",
            "min_length": "Écrivez ce que vous avez vérifié, et auprès de qui, en quelques mots.",
        },
    )


class TextForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """A draft."""

    use_required_attribute = False
    title = forms.CharField(
        label="Titre", max_length=150, error_messages={"required": "Donnez un titre à ce document."}
    )
    body = forms.CharField(
        label="Texte",
        max_length=LONGEST_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 24}),
        help_text=f"Titres{NBSP}: «{NBSP}## Titre{NBSP}». Listes{NBSP}: «{NBSP}- point{NBSP}», «{NBSP}1. point{NBSP}». "
        "**gras**, *italique*, [mots](https://adresse). Une ligne vide sépare deux paragraphes.",
    )
    changes = forms.CharField(
        label="Ce qui change par rapport à la version précédente",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Les collectivités qui avaient accepté le liront dans le message qui leur sera envoyé.",
    )
    grace_days = forms.IntegerField(
        label="Délai pour accepter, en jours",
        min_value=15,
        max_value=365,
        help_text="Compté à partir de la date d’effet, pour les collectivités qui avaient accepté une version "
        "précédente.",
        error_messages={
            "required": "Donnez un délai en jours, de 15 à 365.",
            "invalid": "Donnez un nombre de jours, de 15 à 365.",
            "min_value": "Laissez au moins 15 jours.",
            "max_value": "Un an au plus, 365 jours.",
        },
    )


class PriceForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """One line of prices; left blank, it is no line."""

    use_required_attribute = False
    label = forms.CharField(label="Ce qui est fourni", max_length=150, required=False)
    payer = forms.ChoiceField(label="Par qui", choices=PriceLine.Payer.choices, initial=PriceLine.Payer.OPERATOR)
    amount = forms.DecimalField(
        label="Prix en euros",
        min_value=0,
        max_value=Decimal("9999999.99"),
        decimal_places=2,
        required=False,
        localize=True,
        help_text="0 pour gratuit",
        error_messages={
            "invalid": f"Écrivez un nombre d’euros, par exemple{NBSP}: 12,50",
            "min_value": "Un prix ne descend pas sous 0 €.",
            "max_decimal_places": "Deux chiffres après la virgule au plus.",
        },
    )
    unit = forms.ChoiceField(label="Pour", choices=PriceLine.Unit.choices, initial=PriceLine.Unit.YEAR)
    note = forms.CharField(label="Précision", max_length=200, required=False)

    def clean(self) -> dict[str, Any]:
        """Ask for a price where there is a label, and the reverse."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("label") and data.get("amount") is None and "amount" not in self.errors:
            self.add_error("amount", f"Donnez le prix de «{NBSP}{data['label']}{NBSP}», 0 s’il est gratuit.")
        if not data.get("label") and data.get("amount") is not None:
            self.add_error("label", "Dites à quoi correspond ce prix.")
        return data


class Sheet:
    """A draft with its lines of prices, as one form."""

    def __init__(self, text: Text, data: QueryDict | None = None) -> None:
        initial = {name: getattr(text, name) for name in ("title", "body", "changes", "grace_days")}
        self.form = TextForm(data, initial=initial)
        self.lines: list[PriceForm] = []
        if text.kind == Text.Kind.PRICES:
            stored = [
                {name: getattr(line, name) for name in ("label", "payer", "amount", "unit", "note")}
                for line in text.prices.all()
            ]
            count = min(len(stored) + SPARE, MOST_PRICES) if data is None else _count(data)
            self.lines = [
                PriceForm(data, prefix=f"prix-{index}", initial=stored[index] if index < len(stored) else None)
                for index in range(count)
            ]

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The id of each field that is wrong, and what is wrong with it."""
        forms_: list[forms.Form] = [self.form, *self.lines]
        return [
            (str(form[name].id_for_label), str(message))
            for form in forms_
            if form.is_bound
            for name, messages in form.errors.items()
            if name in form.fields
            for message in messages
        ]

    def is_valid(self) -> bool:
        """Whether all of it can be stored."""
        return all([self.form.is_valid(), *(line.is_valid() for line in self.lines)])

    def draft(self) -> Draft:
        """Return what was typed; lines left blank are dropped."""
        data = self.form.cleaned_data
        prices = tuple(
            Price(one["payer"], one["label"], one["amount"], one["unit"], one["note"])
            for one in (line.cleaned_data for line in self.lines)
            if one.get("label")
        )
        return Draft(data["title"], data["body"], data["changes"], data["grace_days"], prices)


def _count(data: QueryDict) -> int:
    typed = data.get("prix", "0")
    return min(int(typed), MOST_PRICES) if typed.isdecimal() and len(typed) < 4 else 0  # noqa: PLR2004


class PublishForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """From when on."""

    use_required_attribute = False
    effective_on = forms.DateField(
        label="Date d’effet",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=f"Entre aujourd’hui et {FARTHEST.days} jours. Le texte sera public aussitôt.",
        error_messages={"required": "Choisissez une date d’effet.", "invalid": "Écrivez une date complète."},
    )


class HandoverForm(DsfrBaseForm):  # type: ignore[misc]  # dsfr ships no types
    """What happened, and when."""

    use_required_attribute = False
    outcome = forms.ChoiceField(
        label="Qu’est-ce qui a changé à la mairie",
        choices=Handover.Outcome.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Dites si le maire ou la maire a changé."},
    )
    since = forms.DateField(
        label="Depuis quand",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Le jour de l’élection, ou celui où la fonction a changé de main.",
        error_messages={"required": "Donnez la date du changement.", "invalid": "Écrivez une date complète."},
    )

    def clean_since(self) -> Any:  # noqa: ANN401 - a date
        """Refuse a day to come."""
        day = self.cleaned_data["since"]
        if day > timezone.localdate():
            raise forms.ValidationError("Cette date est à venir : faites la passation une fois le changement fait.")
        return day
