from django.urls import path

from onboarding.intake import assisted_views, personal_views, views

app_name = "intake"
urlpatterns = [
    path("", views.list_, name="list"),
    path("nouvelle/", views.new, name="new"),
    path("mes-donnees/", personal_views.personal_, name="personal"),
    path("mes-donnees/effacement/", personal_views.erasure, name="erasure"),
    path("reprendre/", assisted_views.take_over, name="take_over"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/confirmation/", assisted_views.stand, name="stand"),
    path("<uuid:pk>/etape/<int:step>/", views.step, name="step"),
    path("<uuid:pk>/retirer/", views.withdraw, name="withdraw"),
]
