from django.urls import path

from suite.accounts import mandate_desk, mandate_views

mandates = [
    path("habilitation/code/<uuid:pk>/", mandate_views.enter, name="mandate_enter"),
    path("habilitation/courrier/", mandate_views.confirm, name="mandate_confirm"),
    path("habilitation/objection/<str:token>/", mandate_views.object_, name="mandate_object"),
    path("habilitation/<str:code>/", mandate_views.detail, name="mandate_detail"),
    path("habilitation/<str:code>/courriel/", mandate_views.ask_email, name="mandate_ask_email"),
    path("habilitation/<str:code>/lettre/", mandate_views.ask_letter, name="mandate_ask_letter"),
    path("habilitation/<str:code>/document/", mandate_views.hand_in, name="mandate_hand_in"),
    path("habilitations/", mandate_desk.queue, name="mandate_queue"),
    path("habilitations/courriers/", mandate_desk.mail, name="mandate_mail"),
    path("habilitations/objections/", mandate_desk.objections, name="mandate_objections"),
    path("habilitations/objections/<uuid:pk>/", mandate_desk.objection, name="mandate_objection"),
    path("habilitations/<uuid:pk>/", mandate_desk.proof, name="mandate_proof"),
    path("habilitations/<uuid:pk>/laisser-partir/", mandate_desk.let_go, name="mandate_let_go"),
    path("habilitations/<uuid:pk>/accepter/", mandate_desk.accept, name="mandate_accept"),
    path("habilitations/<uuid:pk>/refuser/", mandate_desk.refuse, name="mandate_refuse"),
    path("habilitations/<uuid:pk>/document/", mandate_desk.document, name="mandate_document"),
]
