"""What the reader of the published figures chooses, in the address: the month, the scope, a day."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.utils.formats import date_format
from dsfr.forms import DsfrBaseForm

from onboarding.analytics.figure_models import NATIONAL
from onboarding.analytics.published import Place

FIRST, LAST = dt.date(2000, 1, 1), dt.date(2100, 1, 1)


class MonthFilter(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """The last month shown; the latest when left alone."""

    mois = forms.ChoiceField(
        label="Dernier mois affiché",
        required=False,
        error_messages={"invalid_choice": "Dernier mois affiché : choisissez un mois de la liste."},
    )

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Django's own arguments
        months: Sequence[dt.date],
        **kwargs: Any,  # noqa: ANN401 - idem
    ) -> None:
        super().__init__(*args, **kwargs)
        self._latest = months[0] if months else None
        _choices(self.fields["mois"], ((f"{one:%Y-%m}", date_format(one, "F Y").capitalize()) for one in months))

    @property
    def month(self) -> dt.date | None:
        """Return the month chosen, or the latest; None when nothing is published."""
        chosen = self._chosen("mois")
        return dt.date.fromisoformat(f"{chosen}-01") if chosen else self._latest

    def _chosen(self, name: str) -> Any:  # noqa: ANN401 - a field's own type
        self.is_valid()
        return getattr(self, "cleaned_data", {}).get(name)


class ActivityFilter(MonthFilter):
    """The month, whose figures, and the day of which one wants to know what was going on."""

    perimetre = forms.ChoiceField(
        label="Périmètre",
        required=False,
        error_messages={"invalid_choice": "Périmètre : choisissez un périmètre de la liste."},
    )
    date = forms.DateField(
        label="Demandes en cours à la fin du",
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Demandes en cours à la fin du : écrivez une date comme 2026-03-31."},
    )

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Django's own arguments
        places: Iterable[Place],
        **kwargs: Any,  # noqa: ANN401 - idem
    ) -> None:
        super().__init__(*args, **kwargs)
        _choices(self.fields["perimetre"], places)

    def clean_date(self) -> dt.date | None:
        """Refuse what no calendar of ours reaches."""
        chosen: dt.date | None = self.cleaned_data["date"]
        if chosen and not FIRST <= chosen < LAST:
            raise forms.ValidationError("Demandes en cours à la fin du : choisissez une date entre 2000 et 2099.")
        return chosen

    @property
    def scope(self) -> str:
        """Return the scope chosen; the national one when there is none, or not a valid one."""
        return self._chosen("perimetre") or NATIONAL

    @property
    def day(self) -> dt.date | None:
        """Return the day chosen, if it is one."""
        chosen: dt.date | None = self._chosen("date")
        return chosen


def _choices(field: forms.Field, choices: Iterable[tuple[str, str]]) -> None:
    assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells mypy
    field.choices = list(choices)
