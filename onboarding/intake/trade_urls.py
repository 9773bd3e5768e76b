from django.urls import path

from onboarding.intake import trade_views

app_name = "trade"
urlpatterns = [
    path("", trade_views.index, name="index"),
    path("operateurs/", trade_views.operators, name="operators"),
    path("operateurs/ajouter/", trade_views.add_operator, name="add_operator"),
    path("operateurs/<uuid:pk>/", trade_views.operator, name="operator"),
    path("operateurs/<uuid:pk>/versions/<int:number>/", trade_views.operator_version, name="operator_version"),
    path("<slug:key>/", trade_views.detail, name="detail"),
    path("<slug:key>/modifier/", trade_views.edit, name="edit"),
    path("<slug:key>/versions/<int:number>/", trade_views.version, name="version"),
]
