from django.urls import path

from onboarding.provisioning import (
    closure_views,
    export_views,
    mailbox_views,
    move_urls,
    quota_views,
    resume_views,
    views,
)

app_name = "provisioning"
urlpatterns = [
    path("a-reprendre/", views.blocked, name="blocked"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/avancement/", views.progress, name="progress"),
    path("etapes/<uuid:pk>/reprendre/", views.retry, name="retry"),
    path("etapes/<uuid:pk>/passer/", views.skip, name="skip"),
    path("a-reprendre/<slug:name>/<slug:code>/", resume_views.cause, name="cause"),
    path("etapes/<uuid:pk>/fait/", resume_views.done, name="done"),
    path("etapes/<uuid:pk>/abandonner/", resume_views.abandon, name="abandon"),
    path("<uuid:pk>/boites/", mailbox_views.mailboxes, name="mailboxes"),
    path("<uuid:pk>/boites/ajouter/", mailbox_views.add, name="add_mailboxes"),
    path("boites/<uuid:pk>/", mailbox_views.mailbox, name="mailbox"),
    path("boites/<uuid:pk>/supprimer/", mailbox_views.remove, name="remove_mailbox"),
    path("boites/<uuid:pk>/garder/", mailbox_views.keep, name="keep_mailbox"),
    path("boites/<uuid:pk>/changer/<slug:what>/", mailbox_views.change, name="change_mailbox"),
    path("<uuid:pk>/dotation/", quota_views.quota, name="quotas"),
    path("<uuid:pk>/dotation/demander/", quota_views.ask, name="ask_more"),
    path("dotations/<uuid:pk>/repondre/", quota_views.answer, name="answer_more"),
    path("<uuid:pk>/dotation/<slug:what>/", quota_views.space, name="set_quota"),
    path("<uuid:pk>/copies/", export_views.exports, name="exports"),
    path("copies/<uuid:pk>/telecharger/", export_views.download, name="download_export"),
    path("<uuid:pk>/fermeture/", closure_views.closure, name="closure"),
    path("<uuid:pk>/fermeture/ouvrir/", closure_views.open_, name="open_closure"),
    path("<uuid:pk>/fermeture/apercu/", closure_views.preview, name="preview_deletions"),
    path("<uuid:pk>/fermeture/demander/", closure_views.propose, name="propose_deletions"),
    path("<uuid:pk>/fermeture/confirmer/", closure_views.confirm, name="confirm_deletions"),
    path("<uuid:pk>/fermeture/renoncer/", closure_views.take_back, name="take_back_deletions"),
    path("<uuid:pk>/fermeture/sans-copie/", closure_views.waive, name="waive_copy"),
    *move_urls.urlpatterns,
]
