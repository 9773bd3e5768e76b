"""R39. Upstream copies the same data at approval, and the copies diverge: here no business fact has two homes."""

from django.db import models

from onboarding.intake.models import Dossier
from onboarding.provisioning.models import Deployment


def facts(model: type[models.Model]) -> set[str]:
    """Return the names of the columns that say something: identifiers and times are not facts (rulings, 15)."""
    return {
        field.name
        for field in model._meta.concrete_fields  # noqa: SLF001 - Django's documented API
        if not field.primary_key
        and not isinstance(field, models.ForeignKey | models.UUIDField | models.DateTimeField | models.DateField)
    }


def test_r39_no_field_name_is_both_on_the_dossier_and_on_the_deployment() -> None:
    assert len(facts(Dossier)) > 10
    assert facts(Deployment) >= {"domain", "zone_kind"}
    assert facts(Dossier) & facts(Deployment) == set()


def test_r39_where_a_deployment_is_is_stored_nowhere() -> None:
    stored = {field.name for field in Deployment._meta.concrete_fields}  # noqa: SLF001 - idem
    assert "status" not in stored
    assert not {name for name in facts(Dossier) if name.startswith("deployment")}
