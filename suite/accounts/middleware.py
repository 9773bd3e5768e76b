"""A session ends twelve hours after sign-in, whatever happened in between (O12)."""

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from suite.accounts.models import User


class AbsoluteSession:
    """Sign out whoever signed in too long ago: a cookie's age slides at each save, this instant does not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not isinstance(user, User) or not self._over(request, user):
            return self.get_response(request)
        auth.logout(request)
        response = self.get_response(request)
        login = reverse("accounts:login")
        if response.get("Location", "").startswith(login):
            if "HX-Request" in request.headers:
                # A fragment cannot show a sign-in page: let the whole page ask again.
                return HttpResponse(headers={"HX-Refresh": "true"})
            response["Location"] += ("&" if "?" in response["Location"] else "?") + "expiree=1"
        return response

    def _over(self, request: HttpRequest, user: User) -> bool:
        signed_in_at = request.session.get("signed_in_at")
        if signed_in_at is None:
            # A session that our callback did not open: the account's last sign-in is the instant.
            signed_in_at = user.last_login.timestamp() if user.last_login else 0.0
        return bool(time.time() - signed_in_at > settings.SESSION_ABSOLUTE_SECONDS)
