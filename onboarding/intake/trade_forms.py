"""The settings of the trade as forms: a form only reads what was typed, the setting's schema says what is wrong."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils import timezone
from dsfr.forms import DsfrBaseForm

from onboarding.intake import reasons
from onboarding.intake.forms import text_field
from onboarding.intake.reserved import BLOCK, REVIEW
from onboarding.intake.trade import CHANGE
from suite.directory.eligibility import day as in_words
from suite.directory.models import Department, Operator
from suite.directory.thresholds import NATURES
from suite.trade.fields import MOST_ROWS
from suite.trade.registry import Problem
from suite.trade.workflow import LONGEST_REASON

DAY = "Écrivez une date complète, par exemple 31/12/2026."
NUMBER = "Écrivez un nombre entier, en chiffres."


def _whole(label: str) -> forms.IntegerField:
    widget = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
    return forms.IntegerField(label=label, widget=widget, error_messages={"invalid": NUMBER})


def _day(label: str, *, required: bool = False) -> forms.DateField:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(label=label, required=required, widget=widget, error_messages={"invalid": DAY})


class ValueForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """One row of a setting, or all of it. `required` marks a field; what is missing is said by the schema."""

    use_required_attribute = False
    # How many of twelve columns each field takes; all of them where it is not said.
    columns: Mapping[str, int] = {}
    locked: Mapping[str, Any] = {}

    def full_clean(self) -> None:
        """Read the fields without requiring any."""
        marks = {name: field.required for name, field in self.fields.items()}
        for field in self.fields.values():
            field.required = False
        super().full_clean()
        for name, field in self.fields.items():
            field.required = marks[name]

    def value(self) -> dict[str, Any]:
        """Return what was typed, as the setting is stored."""
        return {
            name: read.isoformat() if isinstance(read, dt.date) else read
            for name, read in self.cleaned_data.items()
            if name != "remove"
        }

    def title(self) -> str:
        """Return what the row is called, "" for a new one."""
        return ""

    def laid_out(self) -> list[tuple[int, forms.BoundField]]:
        """Return the fields in order, each with its width."""
        return [(self.columns.get(field.name, 12), field) for field in self.visible_fields()]


class ReasonRow(ValueForm):
    """A reason. Its code and its use are not typed."""

    columns = {"label": 8, "offered": 4}
    kind = forms.CharField(widget=forms.HiddenInput, max_length=20)
    code = forms.CharField(widget=forms.HiddenInput, max_length=40)
    label = text_field("Motif, tel que la commune le lit", 120)
    offered = forms.BooleanField(label="Proposé aux instructeurs", required=False)
    text = text_field(
        "Explication",
        1000,
        required=False,
        help_text="Envoyée à la commune quand la personne qui instruit n’écrit rien d’autre.",
    )
    unlocks = forms.MultipleChoiceField(
        label="Points ouverts à la correction",
        required=False,
        choices=[(code, field.label) for code, field in reasons.FIELDS.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "Choisissez des points de la demande dans la liste."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.change = self["kind"].value() == CHANGE
        if not self.change or self["code"].value() == "other":
            del self.fields["unlocks"]
        if self["code"].value() == "other":
            del self.fields["offered"]
        if not self.change:
            # The operator always writes to a commune whose request is refused.
            del self.fields["text"]

    def value(self) -> dict[str, Any]:
        return {"unlocks": [], "offered": True, "text": "", **super().value()}

    def title(self) -> str:
        use = "Correction" if self.change else "Refus"
        return f"{use} : {self['code'].value()}"


class ReservedRow(ValueForm):
    """A reserved name."""

    columns = {"pattern": 3, "decision": 3, "source": 6, "reason": 6, "since": 3, "until": 3}
    pattern = text_field("Nom ou modèle", 63, autocomplete="off", spellcheck="false")
    decision = forms.ChoiceField(
        label="Décision",
        choices=[(BLOCK, "Jamais attribué"), (REVIEW, "Deux personnes décident")],
        error_messages={"invalid_choice": "Choisissez une décision dans la liste."},
    )
    source = text_field("Source", 200)
    reason = text_field("Motif montré au demandeur", 200)
    since = _day("À partir du")
    until = _day("Jusqu’au")

    def title(self) -> str:
        return str(self["pattern"].value() or "")


class RuleRow(ValueForm):
    """Thresholds from a date."""

    columns = {"effective_from": 3, "effective_to": 3, "commune_below": 3, "epci_below": 3}
    id = forms.CharField(widget=forms.HiddenInput, max_length=60, required=False)
    effective_from = _day("À partir du", required=True)
    effective_to = _day("Jusqu’au")
    commune_below = _whole("Communes : moins de (habitants)")
    epci_below = _whole("Intercommunalités : moins de (habitants)")
    epci_natures = forms.MultipleChoiceField(
        label="Natures d’intercommunalité servies",
        required=False,
        choices=list(NATURES.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "Choisissez des natures d’intercommunalité de la liste."},
    )
    basis = text_field("Source", 200, help_text="Le texte, la décision ou la page qui fixe ces seuils.")

    def title(self) -> str:
        return f"À partir du {told_day(since)}" if (since := self["effective_from"].value()) else ""


class ClosedDayRow(ValueForm):
    """A day that is not worked."""

    columns = {"day": 3, "department": 4, "label": 5}
    day = _day("Jour", required=True)
    department = forms.ChoiceField(
        label="Département",
        required=False,
        error_messages={"invalid_choice": "Choisissez un département de la liste, ou toute la France."},
    )
    label = text_field("Pourquoi", 100)

    def __init__(self, *args: Any, departments: list[tuple[str, str]] = (), **kwargs: Any) -> None:  # type: ignore[assignment]  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.fields["department"].choices = [("", "Toute la France"), *departments]

    def title(self) -> str:
        return told_day(self["day"].value())


class AllocationForm(ValueForm):
    """The standard allocation."""

    columns = {"mailboxes": 6, "storage_gb": 6}
    mailboxes = _whole("Boîtes aux lettres par demande")
    storage_gb = _whole("Stockage par demande, en gigaoctets (Go)")


class DelaysForm(ValueForm):
    """The delays; their labels are those of the schema."""

    def __init__(self, *args: Any, labels: Mapping[str, str] = {}, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        for name, label in labels.items():
            self.fields[name] = _whole(label)
            self.fields[name].widget.attrs["class"] = "fr-input"
        self.columns = dict.fromkeys(labels, 6)


class OperatorForm(ValueForm):
    """The card of an operator. Its own lead changes how it is reached; the rest is the national operator's."""

    OWN = frozenset({"name_with_article", "url", "email"})
    columns = {"name": 6, "name_with_article": 6, "url": 6, "email": 6, "siret": 6, "status": 6, "identity_provider": 6}
    name = text_field("Nom", 100)
    name_with_article = text_field(
        "Nom avec son article", 110, help_text="Tel qu’il s’écrit dans une phrase : « le Syndicat mixte de l’Ain »."
    )
    url = text_field("Site", 200, required=False, help_text="Par exemple : https://operateur.fr")
    email = text_field("Adresse électronique de contact", 254, help_text="Elle reçoit les nouvelles demandes.")
    siret = text_field("SIRET", 20, required=False, help_text="14 chiffres.")
    status = forms.ChoiceField(
        label="Situation",
        required=False,
        choices=[*Operator.Status.choices, ("", "Inactif : n’est proposé à aucune collectivité")],
        help_text="Un opérateur inactif ne reçoit plus de nouvelles demandes ; son équipe garde ses droits.",
        error_messages={"invalid_choice": "Choisissez une situation dans la liste."},
    )
    identity_provider = text_field(
        "Fournisseur d’identité",
        100,
        required=False,
        help_text="Son identifiant chez ProConnect : les nouveaux domaines y sont rattachés. Vide : aucun ne l’est.",
    )
    national = forms.BooleanField(label="Opérateur national : voit et sert tout le pays", required=False)
    departments = forms.MultipleChoiceField(
        label="Départements servis",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "Choisissez des départements de la liste."},
    )

    def __init__(self, *args: Any, whole: bool, first_national: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.fields["departments"].choices = departments()
        self.fields["national"].disabled = not first_national
        for name, field in self.fields.items():
            field.disabled = field.disabled or (not whole and name not in self.OWN)


def told_day(value: object) -> str:
    """Write a day as it is stored or typed the French way; what is no day stays as it is."""
    try:
        return in_words(dt.date.fromisoformat(str(value or "")))
    except ValueError:
        return str(value or "")


def departments() -> list[tuple[str, str]]:
    """Return the départements as choices. One query."""
    return [(one.code, str(one)) for one in Department.objects.all()]


class Rows:
    """The rows of a setting that is a list; as many as the hidden field `rows` says."""

    def __init__(
        self,
        row: type[ValueForm],
        data: Mapping[str, Any] | None,
        initial: Iterable[Mapping[str, Any]],
        **options: list[tuple[str, str]],
    ) -> None:
        stored = list(initial)
        self.forms = [
            row(data, prefix=f"row-{number}", initial=stored[number] if data is None else None, **options)
            for number in range(_count(data.get("rows")) if data is not None else len(stored))
        ]
        self.row, self.options, self.loose = row, options, []  # type: tuple[Any, Any, list[str]]

    def change(self, action: str, data: Mapping[str, Any]) -> bool:
        """Add an empty row, or take one away, as the button says; what was typed stays. False for another button."""
        number = action.removeprefix("remove-")
        if action == "add" and len(self.forms) < MOST_ROWS:
            self.forms.append(self.row(prefix=f"row-{len(self.forms)}", **self.options))
        elif number != action and number.isdecimal() and int(number) < len(self.forms):
            self._drop(int(number), data)
        else:
            return False
        return True

    def _drop(self, number: int, data: Mapping[str, Any]) -> None:
        """Renumber what follows, as typed."""
        kept = [form for index, form in enumerate(self.forms) if index != number]
        moved: dict[str, Any] = {}
        for index, form in enumerate(kept):
            for name, field in form.fields.items():
                moved[f"row-{index}-{name}"] = field.widget.value_from_datadict(data, {}, form.add_prefix(name))
        self.forms = [self.row(_Typed(moved), prefix=f"row-{index}", **self.options) for index in range(len(kept))]

    def is_valid(self) -> bool:
        """Whether all of it could be read."""
        return not [form for form in self.forms if not form.is_valid()]

    def value(self) -> list[dict[str, Any]]:
        """Return the rows, as the setting is stored."""
        return [form.value() for form in self.forms]

    def show(self, problems: Iterable[Problem]) -> None:
        """Attach to the fields what the schema says of them."""
        for problem in problems:
            if problem.row is not None and problem.row < len(self.forms):
                form = self.forms[problem.row]
                form.add_error(problem.field if problem.field in form.fields else None, problem.message)
            else:
                self.loose.append(problem.message)


class _Typed(dict[str, Any]):
    """What was typed, in the way widgets read it."""

    def getlist(self, name: str) -> list[Any]:
        """Return the several values of a name."""
        found = self.get(name)
        return found if isinstance(found, list) else [found] if found is not None else []


class Whole:
    """A setting that is one form, seen as `Rows` is."""

    def __init__(self, form: ValueForm) -> None:
        self.forms, self.loose = [form], []  # type: tuple[list[ValueForm], list[str]]

    def change(self, action: str, data: Mapping[str, Any]) -> bool:  # noqa: ARG002 - as Rows
        """Nothing to add nor to take away."""
        return False

    def is_valid(self) -> bool:
        """Whether all of it could be read."""
        return bool(self.forms[0].is_valid())

    def value(self) -> dict[str, Any]:
        """Return the fields, as the setting is stored."""
        return self.forms[0].value()

    def show(self, problems: Iterable[Problem]) -> None:
        """Attach to the fields what the schema says of them."""
        for problem in problems:
            form = self.forms[0]
            if problem.field in form.fields:
                form.add_error(problem.field, problem.message)
            else:
                self.loose.append(problem.message)


class VersionForm(DsfrBaseForm):  # type: ignore[misc]  # django-dsfr ships no types
    """Why, and from when."""

    use_required_attribute = False
    reason = text_field(
        "Pourquoi ce changement",
        LONGEST_REASON,
        help_text="Gardé dans l’histoire du réglage et au journal, avec votre nom.",
    )
    valid_from = forms.DateField(
        label="S’applique à partir du",
        required=False,
        help_text="Laissez vide pour que le changement s’applique tout de suite.",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": DAY},
    )

    def __init__(self, *args: Any, dated: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.fields["reason"].error_messages["required"] = "Dites pourquoi, en 10 caractères au moins."
        self.fields["reason"].min_length = 10
        if not dated:
            del self.fields["valid_from"]

    def clean_reason(self) -> str:
        """Ask for more than a word."""
        reason = str(self.cleaned_data["reason"])
        if len(reason.strip()) < 10:  # noqa: PLR2004 - as the verb
            raise forms.ValidationError("Dites pourquoi, en 10 caractères au moins.")
        return reason

    def clean_valid_from(self) -> dt.date | None:
        """Refuse the past: a version never applies before it was written."""
        day: dt.date | None = self.cleaned_data.get("valid_from")
        if day and day < timezone.localdate():
            raise forms.ValidationError("Cette date est passée : choisissez aujourd’hui, plus tard, ou laissez vide.")
        return day

    @property
    def moment(self) -> dt.datetime | None:
        """Return the start of the day chosen, None for now."""
        day: dt.date | None = self.cleaned_data.get("valid_from")
        if day is None or day <= timezone.localdate():
            return None
        return timezone.make_aware(dt.datetime.combine(day, dt.time.min))


def _count(typed: object) -> int:
    text = str(typed or "")
    return min(int(text), MOST_ROWS) if text.isdecimal() and len(text) < 6 else 0  # noqa: PLR2004 - no huge number
