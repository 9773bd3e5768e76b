"""The name of each request: on the page of an error, in the logs and in the journal, so that one finds the other."""

import contextvars
import logging
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_current: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")


def current_request_id() -> str:
    """Return the reference of the request being served, "-" outside any request."""
    return _current.get()


class RequestId:
    """Give each request a short reference of our own: a caller's is not trusted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _current.set(uuid.uuid4().hex[:12])
        try:
            response = self.get_response(request)
            response["X-Request-Id"] = _current.get()
            return response
        finally:
            _current.reset(token)


class RequestIdFilter(logging.Filter):
    """Write the reference on every log line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _current.get()
        return True
