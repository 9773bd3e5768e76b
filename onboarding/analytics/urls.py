from django.urls import path

from onboarding.analytics import views

app_name = "analytics"
urlpatterns = [
    path("", views.pilot, name="pilot"),
    path("mesures.csv", views.pilot_csv, name="pilot_csv"),
]
