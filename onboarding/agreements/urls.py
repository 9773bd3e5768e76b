from django.urls import path

from onboarding.agreements import handover_views, operator_views, views

app_name = "agreements"
urlpatterns = [
    path("", views.list_, name="list"),
    path("prix/<slug:code>/", views.prices, name="prices"),
    path("textes/<uuid:pk>/", views.text, name="text"),
    path("textes/<uuid:pk>/pdf/", views.text_pdf, name="text_pdf"),
    path("collectivites/<uuid:pk>/", views.organization, name="organization"),
    path("collectivites/<uuid:pk>/accepter/", views.accept, name="accept"),
    path("collectivites/<uuid:pk>/passation/", handover_views.handover, name="handover"),
    path("acceptations/<uuid:pk>/pdf/", views.acceptance_pdf, name="acceptance_pdf"),
    path("acceptations/<uuid:pk>/confirmer/", operator_views.confirm, name="confirm"),
    path("suivi/", operator_views.follow, name="follow"),
    path("passations/", operator_views.handovers, name="handovers"),
    path("operateurs/", operator_views.operators, name="operators"),
    path("operateurs/<uuid:pk>/", operator_views.texts_, name="texts"),
    path("operateurs/<uuid:pk>/<slug:kind>/", operator_views.draft, name="draft"),
    path("brouillons/<uuid:pk>/", operator_views.edit, name="edit"),
    path("brouillons/<uuid:pk>/publier/", operator_views.publish, name="publish"),
    path("brouillons/<uuid:pk>/supprimer/", operator_views.discard, name="discard"),
]
