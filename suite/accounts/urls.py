"""The library's routes one by one, under its names; ours in their namespace."""

from allauth.account import views as break_glass
from allauth.mfa.base import views as factors
from django.urls import include, path

from suite.accounts import views
from suite.accounts.entrance import answered

accounts = (
    [
        path("connexion/", views.login, name="login"),
        path("deconnexion/retour/", views.logged_out, name="logged_out"),
        path("admin/login/", views.admin_login, name="admin_login"),
        path("admin/logout/", views.logout, name="admin_logout"),
        # Nobody has a password to change.
        path("admin/password_change/", views.admin_login, name="admin_password"),
    ],
    "accounts",
)

urlpatterns = [
    path("connexion/proconnect/", views.Authorize.as_view(), name="oidc_authentication_init"),
    path("connexion/retour/", views.Callback.as_view(), name="oidc_authentication_callback"),
    path("deconnexion/", views.logout, name="oidc_logout"),
    # allauth's names, which it goes by; these five pages of it and no other (`proconnect.md`, 3.2).
    path("secours/connexion/", answered(break_glass.login), name="account_login"),
    path("secours/deconnexion/", break_glass.logout, name="account_logout"),
    path("secours/confirmation/", answered(break_glass.reauthenticate), name="account_reauthenticate"),
    path("secours/second-facteur/", answered(factors.authenticate), name="mfa_authenticate"),
    path("secours/second-facteur/confirmation/", answered(factors.reauthenticate), name="mfa_reauthenticate"),
    path("", include(accounts)),
]
