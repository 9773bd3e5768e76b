from django.urls import path

from onboarding.intake import assisted_views, desk, desk_bulk, desk_decisions, desk_load, desk_near, desk_queue

app_name = "desk"
urlpatterns = [
    path("", desk_queue.queue, name="queue"),
    path("export.csv", desk_queue.export_csv, name="export"),
    path("vues/", desk_queue.save_view, name="save_view"),
    path("vues/<uuid:pk>/supprimer/", desk_queue.delete_view, name="delete_view"),
    path("vues/<uuid:pk>/par-defaut/", desk_queue.default_view, name="default_view"),
    path("charge/", desk_load.load, name="load"),
    path("charge/<uuid:pk>/repartir/", desk_load.share_out, name="share_out"),
    path("absences/", desk_load.absence, name="absence"),
    path("absences/<uuid:pk>/annuler/", desk_load.cancel_absence, name="cancel_absence"),
    path("actions/", desk_bulk.bulk, name="bulk"),
    path("actions/<uuid:pk>/", desk_bulk.bulk_act, name="bulk_act"),
    path("actions/<uuid:pk>/resultat.csv", desk_bulk.bulk_export, name="bulk_export"),
    path("preparer/", assisted_views.prepare, name="prepare"),
    path("<uuid:pk>/", desk.detail, name="detail"),
    path("<uuid:pk>/lue/", desk.mark_read, name="mark_read"),
    path("<uuid:pk>/verifications/", desk.refresh_checks, name="refresh_checks"),
    path("<uuid:pk>/verifications/ecarter/", desk.override, name="override"),
    path("<uuid:pk>/proches/", desk_near.near, name="near"),
    path("<uuid:pk>/comparer/", desk_near.compare, name="compare"),
    path("<uuid:pk>/doublon/", desk_near.duplicate, name="duplicate"),
    path("<uuid:pk>/prendre/", desk.take, name="take"),
    path("<uuid:pk>/rendre/", desk.release, name="release"),
    path("<uuid:pk>/confier/", desk.assign, name="assign"),
    path("<uuid:pk>/accepter/", desk_decisions.approve, name="approve"),
    path("<uuid:pk>/refuser/", desk_decisions.reject, name="reject"),
    path("<uuid:pk>/demander-des-corrections/", desk_decisions.request_changes, name="request_changes"),
    path("<uuid:pk>/brouillon/<slug:decision>/", desk_decisions.save_draft, name="save_draft"),
]
