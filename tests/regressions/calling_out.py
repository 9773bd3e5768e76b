"""Views that reach for the network and write, to see that the guards of the walk reach into views."""

import socket

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path

from suite.models import Heartbeat
from suite.urls import handler400, handler403, handler404, handler500  # noqa: F401 - a URLconf has them


@login_not_required
def out(request: HttpRequest) -> HttpResponse:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
    return HttpResponse()


@login_not_required
def writing(request: HttpRequest) -> HttpResponse:
    Heartbeat.objects.create(task="written by a GET")
    return HttpResponse()


urlpatterns = [path("out/", out), path("writing/", writing)]
