from django.urls import path

from onboarding.intake import assisted_views, desk, personal_views

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
    path("<uuid:pk>/refuser/", desk.reject, name="reject"),
    path("<uuid:pk>/demander-des-corrections/", desk.request_changes, name="request_changes"),
]
