"""One dossier with the few rows that stand beside it, in one statement: its pages would ask for each table in turn.

Each table comes as a column of JSON objects, made rows again and put where `prefetch_related` puts what it reads: the
code that asks for `dossier.names.all()` does not know the difference. For one dossier at a time; lists prefetch.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Model, OuterRef, QuerySet
from django.db.models.functions import JSONObject

from onboarding.intake import rules
from onboarding.intake.desk_models import CheckItem, ReadMark
from onboarding.intake.models import Dossier, MailboxRequest, NameChoice, Remark, RequestedService
from onboarding.intake.name_models import LostName, NameQuestion
from onboarding.intake.proof_models import OwnershipProof
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.request_models import Claim
from suite.accounts.models import Membership, User
from suite.catalog.models import Service

M = TypeVar("M", bound=Model)

# Accessor of the dossier: its rows, and of what they point to, the columns that pages show.
TABLES: dict[str, tuple[type[Model], dict[str, tuple[type[Model], tuple[str, ...]]]]] = {
    "names": (NameChoice, {}),
    "mailboxes": (MailboxRequest, {}),
    "requested_services": (RequestedService, {"service": (Service, ("id", "slug", "name", "position"))}),
    "remarks": (Remark, {}),
    "claims": (Claim, {}),
    "lost_names": (LostName, {}),
    "name_questions": (NameQuestion, {}),
    "ownership_proofs": (OwnershipProof, {}),
    "proposals": (Proposal, {}),
    "check_items": (CheckItem, {"overridden_by": (User, ("id", "email", "given_name", "usual_name"))}),
}


def read(dossiers: QuerySet[Dossier], user: User) -> QuerySet[Dossier]:
    """Add the columns that `unpack` makes rows of, as `user` reads them."""
    columns = {
        f"beside_{name}": _column(model._default_manager.filter(dossier=OuterRef("pk")), related)  # noqa: SLF001 - documented
        for name, (model, related) in TABLES.items()
    }
    return dossiers.prefetch_related(None).annotate(
        **columns,
        beside_mark=_column(ReadMark.objects.filter(dossier=OuterRef("pk"), user=user), {}),
        beside_memberships=_column(rules.memberships(user, OuterRef("organization")), {}),
    )


def unpack(dossier: Dossier, user: User) -> Dossier:
    """Make rows of the columns, where the accessors of the dossier find them."""
    cache: dict[str, Any] = dossier.__dict__.setdefault("_prefetched_objects_cache", {})
    for name, (model, related) in TABLES.items():
        rows = [_row(model, one, related) for one in dossier.__dict__.pop(f"beside_{name}")]
        for row in rows:
            row.__dict__["_state"].fields_cache["dossier"] = dossier
        found = getattr(dossier, name).get_queryset()
        found._result_cache, found._prefetch_done = rows, True  # noqa: SLF001 - what prefetching does
        cache[name] = found
    marks = [_row(ReadMark, one, {}) for one in dossier.__dict__.pop("beside_mark")]
    dossier.__dict__["_marks"] = {user.pk: marks[0] if marks else None}
    memberships = [_row(Membership, one, {}) for one in dossier.__dict__.pop("beside_memberships")]
    dossier.__dict__["_memberships"] = {user.pk: memberships}
    return dossier


def _columns(model: type[Model]) -> Iterable[str]:
    return (field.attname for field in model._meta.concrete_fields)  # noqa: SLF001 - documented


def _column(rows: QuerySet[Any], related: dict[str, tuple[type[Model], tuple[str, ...]]]) -> ArraySubquery:
    told: dict[str, Any] = {name: name for name in _columns(rows.model)}
    for accessor, (_, columns) in related.items():
        told[accessor] = JSONObject(**{column: f"{accessor}__{column}" for column in columns})
    return ArraySubquery(rows.values(beside=JSONObject(**told)))


def _row(model: type[M], told: dict[str, Any], related: dict[str, tuple[type[Model], tuple[str, ...]]]) -> M:
    fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001 - documented
    known = [name for name in fields if name in told]
    row = model.from_db("default", known, [fields[name].to_python(told[name]) for name in known])
    for accessor, (target, _) in related.items():
        if told[f"{accessor}_id"] is not None:
            row.__dict__["_state"].fields_cache[accessor] = _row(target, told[accessor], {})
    return row
