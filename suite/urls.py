"""Every address of the site."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from suite import views

# The admin's own form knows nothing of second factors (`proconnect.md`, 3.7).
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", include("onboarding.eligibility.urls")),
    path("", include("suite.accounts.urls")),
    path("demandes/", include("onboarding.intake.urls")),
    path("instruction/", include("onboarding.intake.desk_urls")),
    path("reglages/", include("onboarding.intake.trade_urls")),
    path("conventions/", include("onboarding.agreements.urls")),
    path("mises-en-service/", include("onboarding.provisioning.urls")),
    path("groupe-pilote/", include("onboarding.analytics.urls")),
    path("mentions-legales/", views.legal, name="legal"),
    path("accessibilite/", views.accessibility, name="accessibility"),
    path("donnees-personnelles/", views.privacy, name="privacy"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("admin/", admin.site.urls),
]

handler400 = "suite.views.bad_request"
handler403 = "suite.views.forbidden"
handler404 = "suite.views.not_found"
handler500 = "suite.views.server_error"
