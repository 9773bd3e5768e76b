from django.urls import path

from onboarding.intake import assisted_views, desk, name_desk, personal_views, second_views, thread_views

app_name = "desk"
urlpatterns = [
    path("", desk.queue, name="queue"),
    path("preparer/", assisted_views.prepare, name="prepare"),
    path("donnees-personnelles/", personal_views.person, name="person"),
    path("effacements/", personal_views.erasures, name="erasures"),
    path("effacements/<uuid:pk>/", personal_views.erase, name="erase"),
    path("<uuid:pk>/", desk.detail, name="detail"),
    path("<uuid:pk>/prendre/", desk.take, name="take"),
    path("<uuid:pk>/rendre/", desk.release, name="release"),
    path("<uuid:pk>/confier/", desk.assign, name="assign"),
    path("<uuid:pk>/accepter/", desk.approve, name="approve"),
    path("<uuid:pk>/noms/verifier/", name_desk.check_names, name="check_names"),
    path("<uuid:pk>/noms/proposer/", name_desk.ask_name, name="ask_name"),
    path("<uuid:pk>/refuser/", desk.reject, name="reject"),
    path("<uuid:pk>/echanges/", thread_views.desk, name="thread"),
    path("<uuid:pk>/echanges/message/", thread_views.write, name="write"),
    path("<uuid:pk>/echanges/note/", thread_views.note, name="note"),
    path("<uuid:pk>/demander-des-corrections/", desk.request_changes, name="request_changes"),
    path("<uuid:pk>/proposer/", second_views.propose, name="propose"),
    path("<uuid:pk>/confirmer/", second_views.confirm, name="confirm"),
    path("<uuid:pk>/rouvrir/", second_views.reopen, name="reopen"),
    path("<uuid:pk>/proposer-l-annulation/", second_views.propose_revocation, name="propose_revocation"),
    path("<uuid:pk>/annuler/", second_views.revoke, name="revoke"),
]
