"""The five steps and the operators' decisions as forms.

A step's form only reads what was typed: what is wrong with it is said by `checks`, so that page and transition agree.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from dsfr.forms import DsfrBaseForm

from onboarding.intake import checks, contents
from onboarding.intake.checks import Problem
from onboarding.intake.models import Dossier, MailboxRequest, Remark
from onboarding.intake.reasons import label
from onboarding.intake.trade import ALLOCATION
from onboarding.provisioning import mailbox_names as mailboxes
from suite.catalog.models import Service

SHORT, NAME, PARAGRAPH, LONG, EMAIL, FQDN = 50, 100, 500, 1000, 254, 253
NBSP = "\u00a0"
# A browser neither completes nor corrects a name.
_AS_TYPED: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}


def text_field(label: str, size: int, *, required: bool = True, **attrs: object) -> forms.CharField:
    """Return a bounded text field, on several lines from a paragraph on; `attrs` are those of the widget."""
    help_text = str(attrs.pop("help_text", ""))
    widget: forms.Widget = (
        forms.Textarea(attrs={"rows": 3, **attrs}) if size >= PARAGRAPH else forms.TextInput(attrs=attrs)
    )
    return forms.CharField(label=label, max_length=size, required=required, help_text=help_text, widget=widget)


def _email(label: str, *, required: bool = True, help_text: str = "", autocomplete: str = "off") -> forms.CharField:
    widget = forms.TextInput(attrs={"type": "email", "autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=EMAIL, required=required, help_text=help_text, widget=widget)


class StepForm(DsfrBaseForm):  # type: ignore[misc] # dsfr ships no types
    """Reads what was typed. `required` says what a field is marked as; a draft may lack anything."""

    use_required_attribute = False
    step = 0

    def full_clean(self) -> None:
        """Read the fields without requiring any."""
        marks = {name: field.required for name, field in self.fields.items()}
        for field in self.fields.values():
            field.required = False
        super().full_clean()
        for name, field in self.fields.items():
            field.required = marks[name]

    def show(self, problems: Iterable[Problem]) -> None:
        """Attach to the fields what `checks` says of them."""
        for problem in problems:
            if problem.field in self.fields and problem.message not in self.errors.get(problem.field, []):
                self.add_error(problem.field, problem.message)

    def unread(self) -> list[Problem]:
        """Return what could not be read, field by field."""
        return [
            Problem(name, self.step, f"{self.fields[name].label}{NBSP}: {message}")
            for name, messages in self.errors.items()
            for message in messages
            if name in self.fields
        ]

    def values(self, stored: contents.Values) -> contents.Values:
        """Return what to store: what could be read, and the stored value of what could not."""
        self.is_valid()
        return {field: self.cleaned_data.get(field, stored.get(field)) for field in self.fields}

    def lock(self, groups: frozenset[str] | None, rows: frozenset[str] | None = None) -> None:  # noqa: ARG002 - one signature
        """Close the fields that are not to be corrected; None leaves all of them open."""
        for name, field in self.fields.items():
            if groups is not None and contents.GROUP_OF.get(name, "") not in {*groups, ""}:
                field.disabled = True


class RequesterForm(StepForm):
    """1. Who asks."""

    step = 1
    requester_given_name = text_field("Prénom", SHORT, autocomplete="given-name")
    requester_family_name = text_field("Nom", SHORT, autocomplete="family-name")
    requester_function = forms.ChoiceField(
        label="Fonction dans la collectivité", choices=[("", "Choisissez"), *Dossier.Function.choices]
    )
    requester_email = _email(
        "Adresse électronique",
        autocomplete="email",
        help_text=f"Nous vous y répondrons. Par exemple{NBSP}: camille.dupont@mairie.fr",
    )
    requester_phone = text_field(
        "Téléphone", SHORT, autocomplete="tel", type="tel", help_text=f"Par exemple{NBSP}: 02 97 00 00 00"
    )


class NameForm(StepForm):
    """2. The name."""

    step = 2
    family = forms.ChoiceField(
        label="D’où vient le nom de domaine", choices=Dossier.Family.choices, widget=forms.RadioSelect
    )
    name = text_field(
        "Nom souhaité",
        FQDN,
        autocomplete="off",
        spellcheck="false",
        help_text=f"Par exemple{NBSP}: macommune.{settings.COLLECTIVITE_ZONE}, macommune.fr ou macommune.bzh",
    )
    alternative_1 = text_field(
        "Premier nom de remplacement", FQDN, required=False, autocomplete="off", spellcheck="false"
    )
    alternative_2 = text_field(
        "Deuxième nom de remplacement", FQDN, required=False, autocomplete="off", spellcheck="false"
    )
    alternative_3 = text_field(
        "Troisième nom de remplacement", FQDN, required=False, autocomplete="off", spellcheck="false"
    )
    accepts_alternatives = forms.BooleanField(
        label="J’accepte d’avance l’un de ces noms, dans cet ordre, si le premier n’est pas possible"
    )
    justification = text_field(
        "Explication du nom",
        PARAGRAPH,
        required=False,
        help_text=f"À remplir si le nom n’est pas celui de la collectivité. {PARAGRAPH} caractères au plus.",
    )
    dns_manager = forms.ChoiceField(
        label="Qui gère ce nom aujourd’hui",
        required=False,
        choices=[("", "Sans objet"), *Dossier.DnsManager.choices],
        help_text="Seulement si vous gardez un nom que vous avez déjà.",
    )
    mail_in_use = forms.TypedChoiceField(
        label="Une messagerie utilise-t-elle déjà ce nom",
        required=False,
        choices=[("", "Sans objet"), ("True", "Oui"), ("False", "Non")],
        coerce=lambda value: value in {"True", True},
        empty_value=None,
    )
    mail_provider = text_field("Chez qui est cette messagerie", NAME, required=False)
    mail_switch_on = forms.DateField(
        label="Date souhaitée pour changer de messagerie",
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": f"Cette date n’est pas valide{NBSP}: par exemple 31/12/2026."},
    )


class StorageForm(StepForm):
    """4. Storage, services, contacts."""

    step = 4
    storage_gb = forms.IntegerField(
        label="Stockage souhaité, en gigaoctets (Go)",
        min_value=0,
        max_value=2_000_000_000,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={
            "invalid": f"Écrivez le stockage en chiffres, sans unité{NBSP}: par exemple 10.",
            "min_value": "Le stockage ne peut pas être négatif.",
            "max_value": "Ce stockage est trop grand.",
        },
    )
    allocation_reason = text_field(
        "Pourquoi il vous faut davantage que la dotation",
        PARAGRAPH,
        required=False,
    )
    services = forms.TypedMultipleChoiceField(
        label="Services souhaités", required=False, coerce=int, widget=forms.CheckboxSelectMultiple
    )
    privacy_contact_name = text_field("Contact pour la protection des données", NAME, required=False)
    privacy_contact_email = _email("Son adresse électronique", required=False)
    technical_contact_name = text_field("Contact technique", NAME, required=False)
    technical_contact_email = _email("Son adresse électronique", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        standard = ALLOCATION.current()
        self.fields["storage_gb"].help_text = f"La dotation prévue est de {standard.storage_gb} Go."
        self.fields[
            "allocation_reason"
        ].help_text = f"Seulement au-delà de {standard.mailboxes} boîtes aux lettres ou de {standard.storage_gb} Go."
        field = self.fields["services"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - tells the type
        field.choices = [
            (service.pk, f"{service.name}{NBSP}: {service.description}")
            for service in Service.objects.filter(offered=True)
        ]

    def values(self, stored: contents.Values) -> contents.Values:
        """Return the services in a fixed order, so that the same choice compares equal."""
        values = super().values(stored)
        return {**values, "services": sorted(values["services"])}


class DeclarationsForm(StepForm):
    """5. What the requester declares, and what it answers to the corrections asked."""

    step = 5
    declares_exact = forms.BooleanField(label="Je certifie que les informations de cette demande sont exactes.")
    declares_mandate = forms.BooleanField(label="Je certifie être habilité à agir au nom de la collectivité.")
    accepts_terms = forms.BooleanField(
        label="J’ai lu et j’accepte, au nom de la collectivité, les textes ci-dessus : prix, convention, données "
        "personnelles."
    )

    def __init__(self, *args: Any, remarks: Iterable[Remark] = (), **kwargs: Any) -> None:  # noqa: ANN401 - a form's own
        super().__init__(*args, **kwargs)
        self.answers = []
        for remark in remarks:
            name = f"answer-{remark.pk}"
            self.answers.append(name)
            self.fields[name] = text_field(
                f"Je maintiens ma réponse, voici pourquoi ({label(remark.reason)})",
                LONG,
                required=False,
                help_text="Inutile si vous avez corrigé ce point.",
            )
            self.fields[name].widget.attrs["class"] = "fr-input"
            self.initial[name] = remark.answer

    def values(self, stored: contents.Values) -> contents.Values:
        """Return the answers gathered under one name, by remark."""
        values = super().values(stored)
        answers = {name.removeprefix("answer-"): values.pop(name) or "" for name in self.answers}
        # Hidden in the page: the name of the texts it showed.
        values["terms_version"] = str(self.data.get("terms_version", ""))[:20] if self.is_bound else ""
        return {**values, "answers": {**stored["answers"], **answers}}


class MailboxForm(StepForm):
    """One row of step 3."""

    step = 3
    id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    kind = forms.ChoiceField(label="Type", choices=MailboxRequest.Kind.choices)
    given_name = text_field("Prénom", SHORT, autocomplete="off")
    family_name = text_field("Nom", SHORT, autocomplete="off")
    function = text_field("Fonction ou service", NAME, required=False, autocomplete="off")
    local_part = text_field(
        "Début de l’adresse, avant le @",
        mailboxes.LONGEST,
        autocomplete="off",
        spellcheck="false",
        help_text=f"Laissez vide pour une personne{NBSP}: nous proposons prenom.nom.",
    )
    recovery_email = _email("Adresse de secours", help_text="Pour envoyer les premiers accès à une personne.")
    administrator = forms.BooleanField(label="Administre les boîtes de la collectivité")
    targets = text_field(
        "Adresses de destination ou personnes qui lisent la boîte",
        LONG,
        required=False,
        help_text="Pour une redirection ou une boîte partagée, séparées par des virgules.",
    )

    closed = False

    @property
    def identity(self) -> str:
        """The identity of the row, "" for a new one."""
        return str(self["id"].value() or "")

    def close(self) -> None:
        """Show the row without letting it be changed."""
        self.closed = True
        for name, field in self.fields.items():
            field.disabled = name != "id"

    def row(self) -> contents.Values:
        """Return the row as `contents.write` takes it; what could not be read is kept as typed where it is text."""
        read = {field: self.cleaned_data.get(field, "") for field in contents.ROW_FIELDS}
        return {
            **read,
            "id": str(self.cleaned_data.get("id") or ""),
            "kind": read["kind"] or MailboxRequest.Kind.PERSONAL,
            "administrator": bool(read["administrator"]),
        }


class MailboxesForm:
    """3. The rows, in order; as many as the hidden field `rows` says."""

    step = 3

    def __init__(self, data: Mapping[str, Any] | None = None, initial: contents.Values | None = None) -> None:
        rows = (initial or {}).get("mailboxes", [])
        self.is_bound = data is not None
        self.locked = False  # nothing of the list may change
        self.limited = False  # some of its boxes may, and none is added
        self.problems: list[Problem] = []
        count = _count(data.get("rows")) if data is not None else len(rows)
        known = {row["id"]: row for row in rows if row.get("id")}
        self.rows = []
        for index in range(count):
            stored = known.get(data.get(f"mailboxes-{index}-id", "")) if data is not None else None
            beside = rows[index] if index < len(rows) else None
            self.rows.append(MailboxForm(data, prefix=f"mailboxes-{index}", initial=stored or beside))

    def unread(self) -> list[Problem]:
        """Return what could not be read, box by box."""
        return [
            Problem(f"{row.prefix}-{name}", self.step, f"Boîte {number}, {row.fields[name].label}{NBSP}: {message}")
            for number, row in enumerate(self.rows, start=1)
            for name, messages in (row.errors.items() if row.is_bound else ())
            for message in messages
            if name in row.fields
        ]

    @property
    def errors(self) -> list[str]:
        """What could not be read in the rows."""
        return [f"{row.prefix}-{field}" for row in self.rows if row.is_bound for field in row.errors]

    def values(self, stored: contents.Values) -> contents.Values:  # noqa: ARG002 - a step form's signature
        """Return the rows; a row whose text could not be read keeps what could."""
        for row in self.rows:
            row.is_valid()
        return {"mailboxes": [row.row() for row in self.rows]}

    def show(self, problems: Iterable[Problem]) -> None:
        """Attach to the rows what `checks` says of them, the rest to the list."""
        for problem in problems:
            for row in self.rows:
                name = problem.field.removeprefix(f"{row.prefix}-")
                if name != problem.field and name in row.fields:
                    row.add_error(name, problem.message)
            if problem.field == "mailboxes":
                self.problems.append(problem)

    def lock(self, groups: frozenset[str] | None, rows: frozenset[str] | None = None) -> None:
        """Close the list, or all but the boxes of `rows`, when it is not to be corrected."""
        self.locked = groups is not None and "mailboxes" not in groups
        self.limited = rows is not None and not self.locked
        for row in self.rows:
            if self.locked or (rows is not None and row.identity not in rows):
                row.close()


def _count(typed: object) -> int:
    text = str(typed or "0")
    return min(int(text), checks.MOST_MAILBOXES + 1) if text.isdecimal() and len(text) < 6 else 0  # noqa: PLR2004


AnyStepForm = StepForm | MailboxesForm
_FORMS: dict[int, type[StepForm]] = {1: RequesterForm, 2: NameForm, 4: StorageForm}


def step_form(
    step: int, stored: contents.Values, data: QueryDict | None, remarks: Iterable[Remark] = ()
) -> AnyStepForm:
    """Return the form of a step, showing what is stored, or reading what was posted."""
    if step == MailboxesForm.step:
        return MailboxesForm(data, stored)
    if step == DeclarationsForm.step:
        return DeclarationsForm(data, initial=stored, remarks=remarks)
    return _FORMS[step](data, initial=stored)
