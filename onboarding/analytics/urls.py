from django.urls import path

from onboarding.analytics import figure_views, views

app_name = "analytics"
urlpatterns = [
    path("", views.pilot, name="pilot"),
    path("mesures.csv", views.pilot_csv, name="pilot_csv"),
    path("activite/", figure_views.activity, name="activity"),
    path("activite.csv", figure_views.activity_csv, name="activity_csv"),
    path("chiffres/", figure_views.public, name="public"),
]
