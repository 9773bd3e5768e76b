from django.urls import path

from onboarding.eligibility import views

app_name = "eligibility"
urlpatterns = [
    path("", views.home, name="home"),
    path("collectivites/<str:code>/", views.organization, name="organization"),
]
