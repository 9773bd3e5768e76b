"""What the requester accepts in step 5: the very texts in force with the operator that will receive the dossier."""

from typing import Any

from onboarding.agreements import texts, workflow
from onboarding.agreements.models import Acceptance, Text
from onboarding.intake import acting
from onboarding.intake.models import Dossier
from suite.accounts.mandates import mandate
from suite.accounts.models import User
from suite.directory.lookup import covering
from suite.directory.models import Operator

CHANGED = "Les textes à accepter ont changé depuis que vous avez coché cette case : relisez-les, puis acceptez-les."


def operator_of(dossier: Dossier) -> Operator | None:
    """Return with whom the collectivité would contract."""
    return dossier.operator or texts.route(dossier.organization)


def current(dossier: Dossier) -> list[Text]:
    """Return the texts in force for the dossier; read once for one loaded dossier."""
    if "_terms" not in dossier.__dict__:
        # The national operator's texts are those that everybody starts from: no need to look it up.
        local = None if dossier.operator_id else next(iter(covering(dossier.organization)), None)
        dossier.__dict__["_terms"] = texts.in_force(dossier.operator or local)
    found: list[Text] = dossier.__dict__["_terms"]
    return found


def taken(dossier: Dossier, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of step 5 with the name of the texts that a ticked box accepts: those its page showed."""
    if "accepts_terms" not in values:
        return values
    shown = values.get("terms_version") or texts.bundle(current(dossier))
    return {**values, "terms_version": shown[:20] if values["accepts_terms"] else ""}


def stale(dossier: Dossier) -> str:
    """Return why the ticked box is worth nothing any more; "" when it refers to the texts in force."""
    if dossier.status not in {Dossier.Status.DRAFT, Dossier.Status.NEEDS_CHANGES}:
        return ""  # what was sent stays under the texts it was sent with
    return "" if dossier.terms_version == texts.bundle(current(dossier)) else CHANGED


def accept(dossier: Dossier, *, by: User) -> None:
    """Write down, on sending, who accepted which texts and with which mandate. Raises AgreementRefused."""
    workflow.accept(
        dossier.organization,
        current(dossier),
        by=by,
        mandate=acting.mandate_of(dossier) if acting.is_assisted(dossier) else mandate(by, dossier.organization),
        function=dossier.get_requester_function_display(),
        operator=operator_of(dossier),
        # Whoever prepares a dossier for somebody signs nothing: the town hall did, by its code or its document.
        name=f"{dossier.requester_given_name} {dossier.requester_family_name}".strip()
        if acting.is_assisted(dossier)
        else "",
        case=dossier.pk,
    )


def unaccepted(dossier: Dossier) -> str:
    """Return what the collectivité never accepted in any version, for an operator about to approve; "" when nothing."""
    lacking = texts.never_accepted(dossier.organization, dossier.operator)
    if not lacking:
        return ""
    names = " ; ".join(text.get_kind_display() for text in lacking)
    return f"La collectivité n’a pas encore accepté : {names}. Demandez-lui de le faire sur sa page « Conventions »."


def confirm(dossier: Dossier, *, by: User, check: str) -> None:
    """Make the convention firm at the approval, which asked for M2, or for an operator's written check."""
    level = acting.mandate_of(dossier)
    said = check.strip()
    if len(said) < workflow.SHORTEST_CHECK:
        said = f"Habilitation {level.code} ({level.label}) au jour de la décision."
    for acceptance in Acceptance.objects.filter(case=dossier.pk).select_related("text", "confirmation"):
        workflow.confirm(acceptance, by=by, check=said)
