from django.urls import path

from onboarding.intake import views

app_name = "intake"
urlpatterns = [
    path("", views.list_, name="list"),
    path("nouvelle/", views.new, name="new"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/etape/<int:step>/", views.step, name="step"),
    path("<uuid:pk>/retirer/", views.withdraw, name="withdraw"),
]
