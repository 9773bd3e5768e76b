"""The library's routes one by one, under its names; ours in their namespace."""

from django.urls import include, path

from suite.accounts import views
from suite.accounts.mandate_urls import mandates

accounts = (
    [
        path("connexion/", views.login, name="login"),
        path("deconnexion/retour/", views.logged_out, name="logged_out"),
        path("admin/login/", views.admin_login, name="admin_login"),
        path("admin/logout/", views.logout, name="admin_logout"),
        # Nobody has a password to change.
        path("admin/password_change/", views.admin_login, name="admin_password"),
        *mandates,
    ],
    "accounts",
)

urlpatterns = [
    path("connexion/proconnect/", views.Authorize.as_view(), name="oidc_authentication_init"),
    path("connexion/retour/", views.Callback.as_view(), name="oidc_authentication_callback"),
    path("deconnexion/", views.logout, name="oidc_logout"),
    path("", include(accounts)),
]
