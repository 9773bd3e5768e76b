"""Views of the queue under a name: saved, shared with a team, opened by default."""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict

from onboarding.intake import desk_filters
from onboarding.intake.checks import Problem
from onboarding.intake.desk_models import DeskHabit, SavedView
from onboarding.intake.moves import GuardFailed, NotAllowed
from suite.accounts.models import User
from suite.accounts.rights import operator_scope
from suite.directory.models import Operator

MOST = 12
NAME = 60


def views_of(user: User) -> QuerySet[SavedView]:
    """Return the person's views, and those that its teams share, the one its list `opens` on first."""
    scope = operator_scope(user)
    teams = scope.operators if scope else frozenset()
    mine = Q(owner=user, operator__isnull=True)
    opens = Exists(DeskHabit.objects.filter(user=user, view=OuterRef("pk")))
    found = SavedView.objects.filter(mine | Q(operator__in=teams)).select_related("operator")
    return found.annotate(opens=opens).order_by("-opens", "name", "created_at")


@transaction.atomic
def save(user: User, *, name: str, query: str, operator: Operator | None, default: bool) -> SavedView:
    """Keep the filters under a name; the same name of the same person is written over.

    Raises GuardFailed for a name that is missing, too long or one too many, NotAllowed for a team of others.
    """
    name = " ".join(name.split())
    scope = operator_scope(user)
    if operator and (scope is None or operator.pk not in scope.operators):
        raise NotAllowed("Vous ne faites pas partie de cette équipe.")
    User.objects.select_for_update().get(pk=user.pk)  # two tabs must not pass the limit together
    known = SavedView.objects.filter(owner=user)
    problem = ""
    if not name:
        problem = "Donnez un nom à cette vue."
    elif len(name) > NAME:
        problem = f"Le nom d’une vue compte {NAME} caractères au plus."
    elif known.exclude(name=name).count() >= MOST:
        problem = f"Vous avez déjà {MOST} vues : supprimez-en une d’abord."
    if problem:
        raise GuardFailed([Problem("name", 0, problem)])
    kept = desk_filters.read(QueryDict(query)).query
    view, _ = SavedView.objects.update_or_create(
        owner=user, name=name, defaults={"query": kept[:1000], "operator": operator}
    )
    if default:
        DeskHabit.objects.update_or_create(user=user, defaults={"view": view})
    return view


def delete(view: SavedView, *, by: User) -> None:
    """Forget a view: its owner's act, or for a team's that of a lead."""
    scope = operator_scope(by)
    leads = scope is not None and view.operator_id is not None and "lead" in scope.roles_over({view.operator_id})
    if view.owner_id != by.pk and not leads:
        raise NotAllowed("Cette vue appartient à une autre personne de l’équipe : demandez-lui de la supprimer.")
    view.delete()


def choose(view: SavedView | None, *, by: User) -> None:
    """Open the desk on this view from now on, or on everything."""
    DeskHabit.objects.update_or_create(user=by, defaults={"view": view})
