"""The registry of the demonstration: RDAP over the names that the local world's registrar has reserved.

Served by the demonstration's ProConnect process, as one more piece of the outside world. It knows the local world's
file and nothing else: a name nobody reserved there is free.
"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from onboarding.provisioning.backends import world
from onboarding.provisioning.errors import Unavailable

# Somebody else's, from the start: a name to see refused.
ALREADY = "deja-pris.fr"
SOMEBODY = "demonstration"
TYPE = "application/rdap+json"


@require_safe
def domain(request: HttpRequest, name: str) -> JsonResponse:  # noqa: ARG001 - a view's signature
    """Answer as RFC 9083 says: the domain, or 404."""
    name = name.lower().rstrip(".")
    try:
        with world.opened() as connection:
            row = connection.execute("SELECT 1 FROM names WHERE domain = ?", (name,)).fetchone()
    except Unavailable:
        return JsonResponse({"errorCode": 503}, status=503, content_type=TYPE)
    if row is None:
        return JsonResponse({"errorCode": 404, "title": "Not found"}, status=404, content_type=TYPE)
    said = {"objectClassName": "domain", "ldhName": name, "rdapConformance": ["rdap_level_0"]}
    return JsonResponse(said, content_type=TYPE)
