from django.urls import path

from suite.accounts import administrator_views as views

administrators = [
    path("mon-equipe/<uuid:pk>/gestionnaires/", views.ask, name="administrator_ask"),
    path("gestionnaires/<uuid:pk>/", views.detail, name="administrator"),
    path("gestionnaires/<uuid:pk>/annuler/", views.cancel, name="administrator_cancel"),
    path("gestionnaires/<uuid:pk>/refuser/", views.refuse, name="administrator_refuse"),
    path("gestionnaires/<uuid:pk>/confirmer/", views.confirm, name="administrator_confirm"),
    path("gestionnaires/<uuid:pk>/trancher/", views.settle, name="administrator_settle"),
    path("gestionnaires/objection/<str:token>/", views.object_, name="administrator_object"),
    path("instruction/gestionnaires/", views.queue, name="administrators"),
]
