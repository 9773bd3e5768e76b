"""One dossier with the few rows that stand beside it, in one statement: its pages would ask for each table in turn.

Each table comes as a column of JSON objects, made rows again and put where `prefetch_related` puts what it reads: the
code that asks for `dossier.names.all()` does not know the difference. For one dossier at a time; lists prefetch.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import JSONField, Model, OuterRef, QuerySet
from django.db.models.expressions import RawSQL
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


class Table(NamedTuple):
    """Rows beside a dossier, in which order, and of what they point to the columns that pages show."""

    model: type[Model]
    order: str = "id"
    related: dict[str, tuple[type[Model], tuple[str, ...]]] = {}


# By accessor of the dossier; the order is that of the model's `Meta`, in columns.
TABLES = {
    "names": Table(NameChoice, "rank"),
    "mailboxes": Table(MailboxRequest, "position"),
    "requested_services": Table(
        RequestedService, "service.position, one.service_id", {"service": (Service, ("id", "slug", "name", "position"))}
    ),
    "remarks": Table(Remark, "created_at, reason"),
    "claims": Table(Claim, "created_at"),
    "lost_names": Table(LostName),
    "name_questions": Table(NameQuestion, "asked_at"),
    "ownership_proofs": Table(OwnershipProof),
    "proposals": Table(Proposal),
    "check_items": Table(CheckItem, "one.id", {"overridden_by": (User, ("id", "email", "given_name", "usual_name"))}),
}
JSON_ROWS = ArrayField(JSONField())


def _sql(table: Table, more: str = "") -> str:
    """Return the rows of a table as an array of JSON objects, for the dossier of the statement around it."""
    told, joins = "to_jsonb(one.*)", ""
    for accessor, (target, columns) in table.related.items():
        pairs = ", ".join(f'\'{column}\', "{accessor}"."{column}"' for column in columns)
        told += f" || jsonb_build_object('{accessor}', jsonb_build_object({pairs}))"
        joins += f' LEFT JOIN "{_name(target)}" "{accessor}" ON "{accessor}".id = one."{accessor}_id"'
    return (
        f'ARRAY(SELECT {told} FROM "{_name(table.model)}" one{joins} '  # noqa: S608 - names of our own models
        f'WHERE one.dossier_id = "{_name(Dossier)}".id{more} ORDER BY {table.order})'
    )


def _name(model: type[Model]) -> str:
    return model._meta.db_table  # noqa: SLF001 - documented


# Written once: as expressions of the ORM they cost more to compile at each page than to run.
COLUMNS = {f"beside_{name}": RawSQL(_sql(table), (), JSON_ROWS) for name, table in TABLES.items()}  # noqa: S611 - idem
MARK = _sql(Table(ReadMark), " AND one.user_id = %s")


def read(dossiers: QuerySet[Dossier], user: User) -> QuerySet[Dossier]:
    """Add the columns that `unpack` makes rows of, as `user` reads them."""
    rights = rules.memberships(user, OuterRef("organization"))
    told = JSONObject(**{name: name for name in _columns(Membership)})
    return dossiers.prefetch_related(None).annotate(
        **COLUMNS,
        beside_mark=RawSQL(MARK, (user.pk,), JSON_ROWS),  # noqa: S611 - idem
        beside_memberships=ArraySubquery(rights.values(beside=told)),
    )


def unpack(dossier: Dossier, user: User) -> Dossier:
    """Make rows of the columns, where the accessors of the dossier find them."""
    cache: dict[str, Any] = dossier.__dict__.setdefault("_prefetched_objects_cache", {})
    for name, (model, _, related) in TABLES.items():
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


def _row(model: type[M], told: dict[str, Any], related: dict[str, tuple[type[Model], tuple[str, ...]]]) -> M:
    fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001 - documented
    known = [name for name in fields if name in told]
    row = model.from_db("default", known, [fields[name].to_python(told[name]) for name in known])
    for accessor, (target, _) in related.items():
        if told[f"{accessor}_id"] is not None:
            row.__dict__["_state"].fields_cache[accessor] = _row(target, told[accessor], {})
    return row
