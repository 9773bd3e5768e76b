"""ProConnect's paths. allauth's own exist too, for its discovery reverses their names under a prefix that is 404."""

from allauth.idp.oidc import views as allauth_views
from django.urls import include, path, re_path
from django.views.defaults import page_not_found

from suite.demo import registry
from suite.demo.proconnect import views

urlpatterns = [
    path("", views.about, name="about"),
    path("api/v2/.well-known/openid-configuration", allauth_views.configuration),
    path("api/v2/authorize", views.authorize, name="authorize"),
    path("api/v2/token", allauth_views.token),
    path("api/v2/userinfo", allauth_views.user_info),
    path("api/v2/jwks", allauth_views.jwks),
    path("api/v2/session/end", views.end_session),
    path("api/v2/token/revocation", allauth_views.revoke),
    # Another piece of the outside world, which must live in some process.
    path("rdap/domain/<str:name>", registry.domain),
    path("connexion", views.choose, name="choose"),
    # Reversed by the discovery, answered to nobody: the wrapper above is stricter than these.
    re_path(r"^unused/", page_not_found, {"exception": None}),
    path("unused/", include("allauth.idp.urls")),
]
