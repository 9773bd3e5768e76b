from django.urls import path

from onboarding.provisioning import move_urls, views

app_name = "provisioning"
urlpatterns = [
    path("a-reprendre/", views.blocked, name="blocked"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/avancement/", views.progress, name="progress"),
    path("etapes/<uuid:pk>/reprendre/", views.retry, name="retry"),
    path("etapes/<uuid:pk>/passer/", views.skip, name="skip"),
    *move_urls.urlpatterns,
]
