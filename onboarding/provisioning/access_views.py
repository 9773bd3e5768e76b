"""First credentials: the pages where links are sent, and the two that whoever received one goes through.

The token is in the address of the first page, then in a cookie for a few minutes: never in a page's own address again.
"""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from onboarding.provisioning import access_paper, access_workflow
from onboarding.provisioning.access_lines import line
from onboarding.provisioning.access_models import CredentialLink
from onboarding.provisioning.access_workflow import AccessRefused
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts import stepup
from suite.accounts.addresses import visitor
from suite.accounts.limits import allow
from suite.accounts.models import User
from suite.accounts.permissions import SEND_ACCESS, allows, check

COOKIE = "suite_first_access"
COOKIE_SECONDS = 30 * 60
REFRESH_SECONDS = 4
TRIES, TRIES_SECONDS = 30, 600  # claims, per visitor
SENT_AN_HOUR, HOUR = 60, 3600  # links, per person
TOO_MANY_SENT = "Vous avez envoyé beaucoup de liens : recommencez dans une heure."
TOO_MANY = "Trop d’essais depuis votre réseau : recommencez dans quelques minutes."


@never_cache
@require_safe
def accesses(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List the mailboxes of a suite, and what became of the links that lead in."""
    deployment = get_object_or_404(
        Deployment.objects.visible_to(request.user).select_related("organization", "operator"), pk=pk
    )
    return _list(request, deployment)


@require_POST
def send(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Mail a new link to the recovery address of a mailbox."""
    user, resource = _mailbox(request, pk)
    if not allow("first-access", str(user.pk), limit=SENT_AN_HOUR, seconds=HOUR):
        return _list(request, resource.deployment, AccessRefused(TOO_MANY_SENT, http=429))
    try:
        access_workflow.issue(resource, by=user)
    except AccessRefused as refusal:
        return _list(request, resource.deployment, refusal)
    messages.success(request, f"Le lien d’accès à {resource.key} part vers son adresse de secours.")
    return redirect("provisioning:accesses", pk=resource.deployment_id)


@never_cache
@require_POST
def paper(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Print a new link, to be handed over, for a mailbox that has no other address to write to."""
    user, resource = _mailbox(request, pk)
    if answer := stepup.missing(request, mailbox=True):
        return answer
    try:
        issued = access_workflow.issue(resource, by=user, channel=CredentialLink.Channel.PAPER)
    except AccessRefused as refusal:
        return _list(request, resource.deployment, refusal)
    response = HttpResponse(access_paper.printed(issued, resource), content_type="application/pdf")
    response["Content-Disposition"] = 'attachment; filename="premier-acces.pdf"'
    return _quiet(response)


@require_POST
def revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make the link of a mailbox worth nothing."""
    user, resource = _mailbox(request, pk)
    try:
        access_workflow.revoke(resource, by=user)
    except AccessRefused as refusal:
        return _list(request, resource.deployment, refusal)
    messages.success(request, f"Le lien d’accès à {resource.key} ne vaut plus rien.")
    return redirect("provisioning:accesses", pk=resource.deployment_id)


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def first(request: HttpRequest) -> HttpResponse:
    """Show the same page for any link, without looking at it; a POST claims the link, once."""
    refusal: AccessRefused | None = None
    token = (request.POST if request.method == "POST" else request.GET).get("jeton", "")
    if request.method == "POST":
        refusal = _claimed(request, token)
        if refusal is None:
            response = redirect("provisioning:ready")
            response.set_cookie(
                COOKIE,
                token,
                max_age=COOKIE_SECONDS,
                path=reverse("provisioning:ready"),
                secure=settings.SECURE,
                httponly=True,
                samesite="Lax",
            )
            return _quiet(response)
    status = refusal.http if refusal else 200
    return _quiet(
        render(request, "provisioning/access/first.html", {"token": token, "refusal": refusal}, status=status)
    )


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ready(request: HttpRequest) -> HttpResponse:
    """Wait for the way in; a POST shows it, once, and nothing of it is kept."""
    token = request.COOKIES.get(COOKIE, "")
    context: dict[str, object] = {"token": token}
    status = 200
    if request.method == "POST":
        try:
            link, access = access_workflow.reveal(token)
        except AccessRefused as refusal:
            context |= {"refusal": refusal, "link": access_workflow.find(token)}
            status = refusal.http
        else:
            response = render(
                request, "provisioning/access/ready.html", {"access": access, "address": link.resource.key}
            )
            response.delete_cookie(COOKIE, path=reverse("provisioning:ready"))
            return _quiet(response)
    else:
        link_seen = access_workflow.find(token)
        context["link"] = link_seen
        status = 410 if link_seen is None else 200
    response = render(request, "provisioning/access/ready.html", context, status=status)
    found = context.get("link")
    if isinstance(found, CredentialLink) and found.state == CredentialLink.State.CLAIMED:
        response["Refresh"] = str(REFRESH_SECONDS)
    return _quiet(response)


def _claimed(request: HttpRequest, token: str) -> AccessRefused | None:
    """Claim the link; return why it is not, None when it is."""
    if not allow("first-access-claim", visitor(request), limit=TRIES, seconds=TRIES_SECONDS):
        return AccessRefused(TOO_MANY, http=429)
    try:
        access_workflow.claim(token)
    except AccessRefused as refusal:
        return refusal
    return None


def _mailbox(request: HttpRequest, pk: UUID) -> tuple[User, Resource]:
    """Return who acts, and a mailbox of a suite in its sight, once its role is checked."""
    boxes = Resource.objects.select_related("deployment__organization", "deployment__operator")
    visible = Deployment.objects.visible_to(request.user)
    resource = get_object_or_404(boxes.filter(deployment__in=visible, kind=Resource.Kind.MAILBOX), pk=pk)
    if not isinstance(request.user, User):
        raise PermissionDenied("Connectez-vous pour continuer.")
    check(SEND_ACCESS, access_workflow.roles(request.user, resource.deployment))
    return request.user, resource


def _list(request: HttpRequest, deployment: Deployment, refusal: AccessRefused | None = None) -> HttpResponse:
    links = Prefetch("access_links", CredentialLink.objects.order_by("-issued_at"))
    boxes = deployment.resources.filter(kind=Resource.Kind.MAILBOX).prefetch_related(links).order_by("key")
    user = request.user
    may = isinstance(user, User) and allows(SEND_ACCESS, access_workflow.roles(user, deployment))
    context = {
        "deployment": deployment,
        "lines": [line(box, deployment) for box in boxes],
        "may_send": may and deployment.closed_at is None,
        "refusal": refusal,
    }
    return render(request, "provisioning/access/accesses.html", context, status=refusal.http if refusal else 200)


def _quiet(response: HttpResponse) -> HttpResponse:
    """Keep a page out of search engines."""
    # No Referrer-Policy of its own: with « no-referrer » browsers send the form with a null origin, which the CSRF
    # check refuses; the site's own keeps the address out of other sites' logs.
    response["X-Robots-Tag"] = "noindex"
    return response
