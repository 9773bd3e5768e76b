from django.urls import path

from onboarding.provisioning import access_views, views

app_name = "provisioning"
urlpatterns = [
    path("a-reprendre/", views.blocked, name="blocked"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/avancement/", views.progress, name="progress"),
    path("premier-acces/", access_views.first, name="first"),
    path("premier-acces/suite/", access_views.ready, name="ready"),
    path("<uuid:pk>/acces/", access_views.accesses, name="accesses"),
    path("acces/<uuid:pk>/envoyer/", access_views.send, name="send_access"),
    path("acces/<uuid:pk>/imprimer/", access_views.paper, name="print_access"),
    path("acces/<uuid:pk>/annuler/", access_views.revoke, name="revoke_access"),
    path("etapes/<uuid:pk>/reprendre/", views.retry, name="retry"),
    path("etapes/<uuid:pk>/passer/", views.skip, name="skip"),
]
