"""The provider's database, and its only client: the product."""

from django.core.management import call_command

from suite.demo.proconnect import place, settings


def prepare() -> None:
    """Bring the tables up to date and register the product as it is now. May run any number of times."""
    from allauth.idp.oidc.models import Client  # noqa: PLC0415 - after the applications are loaded

    with place.alone():
        call_command("migrate", verbosity=0)
        client = Client.objects.filter(id=settings.CLIENT_ID).first() or Client(id=settings.CLIENT_ID)
        client.name = "La Suite territoriale"
        client.type = Client.Type.CONFIDENTIAL
        client.skip_consent = True
        if not client.check_secret(settings.CLIENT_SECRET):
            client.set_secret(settings.CLIENT_SECRET)
        client.set_scopes(settings.SCOPES)
        client.set_grant_types(["authorization_code"])
        client.set_response_types(["code"])
        client.set_redirect_uris([settings.REDIRECT_URI])
        client.set_post_logout_redirect_uris([settings.POST_LOGOUT_URI])
        client.save()
