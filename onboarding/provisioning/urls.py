from django.urls import path

from onboarding.provisioning import resume_views, views

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
]
