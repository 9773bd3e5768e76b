"""The library's routes one by one, under its names; ours in their namespace."""

from allauth.account import views as break_glass
from allauth.mfa.base import views as factors
from django.urls import include, path

from suite.accounts import people_views, session_views, staff_views, team_views, views
from suite.accounts.administrator_urls import administrators
from suite.accounts.entrance import answered
from suite.accounts.mandate_urls import mandates

accounts = (
    [
        path("connexion/", views.login, name="login"),
        path("deconnexion/retour/", views.logged_out, name="logged_out"),
        path("admin/login/", views.admin_login, name="admin_login"),
        path("admin/logout/", views.logout, name="admin_logout"),
        # Nobody has a password to change.
        path("admin/password_change/", views.admin_login, name="admin_password"),
        path("mes-sessions/", session_views.sessions, name="sessions"),
        path("mes-sessions/fermer-les-autres/", session_views.close_others, name="close_others"),
        path("mes-sessions/<uuid:pk>/fermer/", session_views.close_session, name="close_session"),
        path("mon-equipe/", team_views.teams_, name="teams"),
        path("mon-equipe/<uuid:pk>/", team_views.team, name="team"),
        path("mon-equipe/<uuid:pk>/inviter/", team_views.invite, name="invite"),
        path("mon-equipe/<uuid:pk>/rejoindre/", team_views.join, name="join"),
        path("mon-equipe/membres/<uuid:pk>/", team_views.member, name="member"),
        path("mon-equipe/demandes/<uuid:pk>/", team_views.answer, name="answer"),
        path("mon-equipe/invitations/<uuid:pk>/annuler/", team_views.revoke_invitation, name="revoke_invitation"),
        # The token is in the query, which no log of ours keeps.
        path("invitation/", team_views.invitation, name="invitation"),
        path("instruction/equipe/", staff_views.staff, name="staff"),
        path("instruction/equipe/<uuid:pk>/inviter/", staff_views.invite_staff, name="invite_staff"),
        path("instruction/equipe/membres/<uuid:pk>/", staff_views.colleague, name="colleague"),
        path(
            "instruction/equipe/invitations/<uuid:pk>/annuler/",
            staff_views.revoke_staff_invitation,
            name="revoke_staff_invitation",
        ),
        path("instruction/rapprochements/", staff_views.relinks_, name="relinks"),
        path("instruction/rapprochements/<uuid:pk>/", staff_views.relink, name="relink"),
        *mandates,
        *administrators,
        path("instruction/comptes/", people_views.people, name="people"),
        path("instruction/comptes/<uuid:pk>/", people_views.account, name="account"),
        path("instruction/comptes/<uuid:pk>/proposer/", people_views.propose, name="propose"),
        path("instruction/comptes/propositions/<uuid:pk>/decider/", people_views.decide, name="decide"),
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
