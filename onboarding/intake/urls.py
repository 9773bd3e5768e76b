from django.urls import path

from onboarding.intake import assisted_views, name_views, views

app_name = "intake"
urlpatterns = [
    path("", views.list_, name="list"),
    path("nouvelle/", views.new, name="new"),
    path("reprendre/", assisted_views.take_over, name="take_over"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/confirmation/", assisted_views.stand, name="stand"),
    path("<uuid:pk>/etape/<int:step>/", views.step, name="step"),
    path("<uuid:pk>/noms/", name_views.status, name="name_status"),
    path("<uuid:pk>/preuve-du-domaine/", name_views.proof, name="name_proof"),
    path("<uuid:pk>/nom-propose/", name_views.answer, name="name_answer"),
    path("<uuid:pk>/retirer/", views.withdraw, name="withdraw"),
]
