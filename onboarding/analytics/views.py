from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def pilot(request: HttpRequest) -> HttpResponse:
    """Draft."""
    return render(request, "base.html")
