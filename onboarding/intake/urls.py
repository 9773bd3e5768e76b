from django.urls import path

from onboarding.intake import assisted_views, thread_views, views

app_name = "intake"
urlpatterns = [
    path("", views.list_, name="list"),
    path("nouvelle/", views.new, name="new"),
    path("reprendre/", assisted_views.take_over, name="take_over"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/confirmation/", assisted_views.stand, name="stand"),
    path("<uuid:pk>/etape/<int:step>/", views.step, name="step"),
    path("<uuid:pk>/retirer/", views.withdraw, name="withdraw"),
    path("notifications/", thread_views.rhythm, name="rhythm"),
    path("<uuid:pk>/messages/", thread_views.commune, name="thread"),
    path("<uuid:pk>/messages/lus/", thread_views.read, name="read_thread"),
    path("<uuid:pk>/messages/<uuid:message>/", thread_views.edit, name="edit_message"),
    path("<uuid:pk>/fichiers/<uuid:attachment>/", thread_views.attachment, name="attachment"),
]
