"""The site with the library's own views at our addresses, and Django's own sign-in to the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import path
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import (
    OIDCAuthenticationCallbackView,
    OIDCAuthenticationRequestView,
    OIDCLogoutView,
)

from suite import urls
from suite.accounts.models import User


class VanillaBackend(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """The library's own; our accounts have no user name for its `create_user` to fill."""

    def create_user(self, claims: dict[str, Any]) -> User:
        return User.objects.create_user(email=claims["email"])


urlpatterns = [
    path(
        "connexion/proconnect/",
        login_not_required(OIDCAuthenticationRequestView.as_view()),
        name="oidc_authentication_init",
    ),
    path(
        "connexion/retour/",
        login_not_required(OIDCAuthenticationCallbackView.as_view()),
        name="oidc_authentication_callback",
    ),
    path("deconnexion/", OIDCLogoutView.as_view(), name="oidc_logout"),
    path("admin/", admin.site.urls),
    *urls.urlpatterns,  # the rest of the site; what stands above comes first
]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
