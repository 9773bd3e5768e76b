"""What mail servers and mail programs ask of a commune's domain by the web: its MTA-STS policy, its mail settings.

They come by names of ours under the commune's own domain (`mta-sts.<domain>`, RFC 8461; `autoconfig.<domain>`, which
Thunderbird and others ask), which are no names of the site: they are answered before it, and get these two files only.
"""

from collections.abc import Callable
from xml.sax.saxutils import escape

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

from onboarding.provisioning.backends.names import normal
from onboarding.provisioning.backends.protocols import MailSpec
from onboarding.provisioning.errors import Refused
from onboarding.provisioning.models import Deployment, Resource
from onboarding.provisioning.records import mta_sts_policy, spec_from

_CACHED = 3600  # seconds


class MailDiscovery:
    """Answer for the names of communes; everything else goes on to the site."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not `get_host()`: the domains of communes are no ALLOWED_HOSTS, and come and go without a restart.
        host = request.META.get("HTTP_HOST", "").lower().partition(":")[0].removesuffix(".")
        label, _, domain = host.partition(".")
        view = _VIEWS.get((label, request.path))
        if view is None:
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        spec = spec_of(domain)
        answer = view(domain, spec) if spec is not None else HttpResponse("Not found\n", status=404, content_type=_TEXT)
        patch_cache_control(answer, public=True, max_age=_CACHED if answer.status_code == _FOUND else 60)
        return answer


def policy(domain: str, spec: MailSpec) -> HttpResponse:  # noqa: ARG001 - a view's signature
    """Say by which servers the domain receives its mail, always encrypted."""
    return HttpResponse(mta_sts_policy(spec), content_type=_TEXT)


def autoconfig(domain: str, spec: MailSpec) -> HttpResponse:
    """Say where mail is read and sent, in the format of Thunderbird's autoconfiguration."""
    hosts = dict(spec.aliases)
    if not {"imap", "smtp"} <= hosts.keys():
        return HttpResponse("Not found\n", status=404, content_type=_TEXT)
    servers = "".join(
        f"""
    <{tag} type="{kind}">
      <hostname>{escape(hosts[label].rstrip("."))}</hostname>
      <port>{port}</port>
      <socketType>SSL</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </{tag}>"""
        for tag, kind, label, port in (
            ("incomingServer", "imap", "imap", 993),
            ("outgoingServer", "smtp", "smtp", 465),
        )
    )
    return HttpResponse(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="{escape(domain)}">
    <domain>{escape(domain)}</domain>
    <displayName>{escape(settings.SITE_NAME)}</displayName>{servers}
  </emailProvider>
</clientConfig>
""",
        content_type="application/xml; charset=utf-8",
    )


def spec_of(domain: str) -> MailSpec | None:
    """Return what the mail of a domain of ours was last seen to need; None for any other domain, or one that closed."""
    try:
        name = normal(domain)
    except Refused:
        return None
    seen = (
        Resource.objects.filter(
            kind=Resource.Kind.MAIL_DOMAIN, deployment__domain=name, deployment__closed_at__isnull=True
        )
        .exclude(deployment__zone_kind=Deployment.ZoneKind.EXTERNAL)
        .values_list("observed", flat=True)
        .first()
    )
    spec = (seen or {}).get("spec")
    return spec_from(spec) if spec else None


_FOUND = 200
_TEXT = "text/plain; charset=utf-8"
_VIEWS: dict[tuple[str, str], Callable[[str, MailSpec], HttpResponse]] = {
    ("mta-sts", "/.well-known/mta-sts.txt"): policy,
    ("autoconfig", "/mail/config-v1.1.xml"): autoconfig,
}
