"""A dossier in any of its states."""

from typing import Any

from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from tests.factories.intake import DossierFactory, ProposalFactory

S = Dossier.Status


def situation(status: str, commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    """Return a complete dossier of the commune in a state, instructed by `instructor` where the state says so."""
    known: dict[str, Any] = {"organization": commune, "author": agent}
    match status:
        case S.DRAFT:
            return DossierFactory.create(**known)
        case S.EXPIRED:
            return DossierFactory.create(expired=True, **known)
        case S.SUBMITTED:
            return DossierFactory.create(sent=True, operator=anct, **known)
        case S.WITHDRAWN:
            return DossierFactory.create(withdrawn=True, operator=anct, **known)
        case S.SECOND_APPROVAL:
            waiting = DossierFactory.create(second_approval=True, operator=anct, assignee=instructor, **known)
            ProposalFactory.create(dossier=waiting)
            return waiting
        case _:
            return DossierFactory.create(**{str(status): True}, operator=anct, assignee=instructor, **known)
