"""The doors of the desk: who comes in, which dossier it may look at, and where an act leads back."""

from urllib.parse import unquote, urlsplit

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme

from onboarding.intake import beside
from onboarding.intake.models import Dossier
from onboarding.intake.presentation import complete
from suite.accounts.models import User
from suite.accounts.permissions import INSTRUCT, SEE_DESK, Act, check, site_roles
from suite.accounts.rights import OperatorScope, operator_scope

LONGEST = 2000


def staff_of(request: HttpRequest, act: Act = SEE_DESK) -> tuple[User, OperatorScope]:
    """Return the member of an operator's staff who asks, and its scope; refuse everybody else."""
    user = request.user
    check(act, site_roles(user))
    scope = operator_scope(user)
    if not isinstance(user, User) or scope is None:
        raise PermissionDenied(SEE_DESK.refusal)
    return user, scope


def instructor_of(request: HttpRequest) -> User:
    """Return the member of the staff who asks, if it instructs anywhere."""
    user, scope = staff_of(request)
    if not scope.instructs:
        raise PermissionDenied(INSTRUCT.refusal)
    return user


def dossier_of(request: HttpRequest, pk: object) -> Dossier:
    """Return a dossier in the sight of whoever asks, with all that its pages read."""
    user, _ = staff_of(request)
    followed = complete().select_related("duplicate_of").filter(pk__in=Dossier.objects.followed_by(user).values("pk"))
    return beside.unpack(get_object_or_404(beside.read(followed, user), pk=pk), user)


def way_back(request: HttpRequest, default: str = "desk:queue") -> str:
    """Return the page that the form names in `retour`, if it is one of the desk's, the default otherwise.

    Only a path of ours passes: no host, no scheme, nothing that a browser would read as one once decoded.
    """
    typed = request.POST.get("retour", "") or request.GET.get("retour", "")
    home = reverse(default)
    if not typed or len(typed) > LONGEST or not typed.startswith(reverse("desk:queue")):
        return home
    decoded = unquote(unquote(typed))
    parts = urlsplit(typed)
    odd = "\\" in decoded or "//" in decoded.split("?")[0] or ".." in decoded or not typed.isprintable()
    if odd or parts.scheme or parts.netloc or not url_has_allowed_host_and_scheme(decoded, allowed_hosts=None):
        return home
    try:
        resolve(parts.path)
    except Resolver404:
        return home
    return typed
