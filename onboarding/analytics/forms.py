"""What the reader of the pilot page chooses, in the address: the period and the département."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from django import forms
from django.utils.formats import date_format
from dsfr.forms import DsfrBaseForm

from suite.directory.models import Department


class PilotFilter(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """The first month shown, and the département of the list; both may be left alone."""

    depuis = forms.ChoiceField(
        label="Afficher depuis",
        required=False,
        error_messages={"invalid_choice": "Afficher depuis : choisissez un mois de la liste."},
    )
    departement = forms.ChoiceField(
        label="Département des collectivités listées",
        required=False,
        error_messages={"invalid_choice": "Département : choisissez un département de la liste."},
    )

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Django's own arguments
        months: Sequence[date],
        departments: Iterable[Department],
        **kwargs: Any,  # noqa: ANN401 - idem
    ) -> None:
        super().__init__(*args, **kwargs)
        depuis, departement = self.fields["depuis"], self.fields["departement"]
        assert isinstance(depuis, forms.ChoiceField)  # noqa: S101 - tells mypy
        assert isinstance(departement, forms.ChoiceField)  # noqa: S101 - idem
        depuis.choices = [
            ("", "Toute la période"),
            *((f"{month:%Y-%m}", date_format(month, "F Y").capitalize()) for month in months),
        ]
        departement.choices = [("", "Tous"), *((one.code, f"{one.code} – {one.name}") for one in departments)]

    @property
    def since(self) -> date | None:
        """Return the first day of the month chosen; None when there is none, or not a valid one."""
        month = self._chosen("depuis")
        return date.fromisoformat(f"{month}-01") if month else None

    @property
    def department(self) -> str:
        """Return the code of the département chosen; "" when there is none, or not a valid one."""
        return self._chosen("departement")

    def _chosen(self, name: str) -> str:
        self.is_valid()
        chosen: str = getattr(self, "cleaned_data", {}).get(name, "")
        return chosen
