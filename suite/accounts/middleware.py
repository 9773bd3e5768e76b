"""A session ends twelve hours after sign-in, whatever happened in between (O12), and at once when it is closed."""

from collections.abc import Callable

from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from suite.accounts import sessions
from suite.accounts.models import User


class AbsoluteSession:
    """Sign out whoever signed in too long ago: a cookie's age slides at each save, this instant does not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not isinstance(user, User) or not sessions.is_over(request.session, user):
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
