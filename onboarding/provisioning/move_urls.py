from django.urls import path

from onboarding.provisioning import move_views

urlpatterns = [
    path("<uuid:pk>/ancien-courrier/", move_views.imports, name="imports"),
    path("boites/<uuid:pk>/ancien-courrier/", move_views.start_import, name="start_import"),
    path("reprises/<uuid:pk>/", move_views.import_detail, name="import_detail"),
    path("reprises/<uuid:pk>/agir/", move_views.import_act, name="import_act"),
    path("<uuid:pk>/bascule/", move_views.cutover, name="cutover"),
    path("<uuid:pk>/bascule/preparer/", move_views.begin_cutover, name="begin_cutover"),
    path("bascules/<uuid:pk>/date/", move_views.plan_cutover, name="plan_cutover"),
    path("bascules/<uuid:pk>/agir/", move_views.cutover_act, name="cutover_act"),
    path("<uuid:pk>/renouvellement/", move_views.renewal, name="renewal"),
]
