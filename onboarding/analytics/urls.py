from django.urls import path

from onboarding.analytics import views

app_name = "analytics"
urlpatterns = [path("", views.pilot, name="pilot")]
