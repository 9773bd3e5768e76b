from django.urls import path

from onboarding.intake import assisted_views, author_views, import_views, name_views, record_views, thread_views, views

app_name = "intake"
urlpatterns = [
    path("", views.list_, name="list"),
    path("nouvelle/", views.new, name="new"),
    path("reprendre/", assisted_views.take_over, name="take_over"),
    path("invitation/", author_views.invitation, name="invitation"),
    path("rejoindre/<str:code>/", author_views.ask_to_join, name="ask_to_join"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/confirmation/", assisted_views.stand, name="stand"),
    path("<uuid:pk>/etape/<int:step>/", views.step, name="step"),
    path("<uuid:pk>/noms/", name_views.status, name="name_status"),
    path("<uuid:pk>/preuve-du-domaine/", name_views.proof, name="name_proof"),
    path("<uuid:pk>/nom-propose/", name_views.answer, name="name_answer"),
    path("<uuid:pk>/retirer/", views.withdraw, name="withdraw"),
    path("<uuid:pk>/signaler/", record_views.report, name="report"),
    path("<uuid:pk>/demande.pdf", record_views.paper, name="paper"),
    path("<uuid:pk>/demande.json", record_views.data, name="data"),
    path("<uuid:pk>/boites/modele.csv", import_views.template, name="template"),
    path("<uuid:pk>/boites/importer/", import_views.upload, name="upload"),
    path("<uuid:pk>/boites/importer/<uuid:table>/", import_views.preview, name="preview"),
    path("<uuid:pk>/auteurs/", author_views.authors, name="authors"),
    path("<uuid:pk>/auteurs/inviter/", author_views.invite, name="invite"),
    path("<uuid:pk>/auteurs/<uuid:who>/", author_views.answer_join, name="answer_join"),
    path("<uuid:pk>/auteurs/<uuid:who>/retirer/", author_views.remove_author, name="remove_author"),
    path("notifications/", thread_views.rhythm, name="rhythm"),
    path("<uuid:pk>/messages/", thread_views.commune, name="thread"),
    path("<uuid:pk>/messages/lus/", thread_views.read, name="read_thread"),
    path("<uuid:pk>/messages/<uuid:message>/", thread_views.edit, name="edit_message"),
    path("<uuid:pk>/fichiers/<uuid:attachment>/", thread_views.attachment, name="attachment"),
]
