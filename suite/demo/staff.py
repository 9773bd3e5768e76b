"""The operators of the demonstration and their staff, made if missing."""

import re

from django.conf import settings
from django.db import transaction

from suite.accounts.models import Identity, OperatorRole, User
from suite.demo import people
from suite.directory.models import Operator

LOOPBACK_ISSUER = r"http://(127\.0\.0\.1|localhost):[0-9]+/api/v2"


@transaction.atomic
def ensure_staff() -> None:
    """Make the demonstration's two operators and the accounts of their staff. May run any number of times.

    Their first sign-in finds them: an account is (issuer, sub), and the provider of the demonstration keeps its subs.
    """
    _follow_the_provider()
    operators = {people.ANCT_NAME: _ensure_anct(), people.OPSN_NAME: _ensure_opsn()}
    for one in people.PEOPLE:
        if one.operator:
            OperatorRole.objects.update_or_create(
                user=_ensure_user(one),
                operator=operators[one.operator],
                defaults={"role": one.operator_role, "active": True},
            )


def _follow_the_provider() -> None:
    """Keep everybody's account when the demonstration moves to another port, and so to another issuer.

    Elsewhere an issuer that changes makes every identity unknown, on purpose.
    """
    here = Identity.objects.filter(issuer=settings.OIDC_OP_ISSUER)
    if not re.fullmatch(LOOPBACK_ISSUER, settings.OIDC_OP_ISSUER):
        return
    elsewhere = Identity.objects.filter(issuer__regex=f"^{LOOPBACK_ISSUER}$").exclude(sub__in=here.values("sub"))
    elsewhere.update(issuer=settings.OIDC_OP_ISSUER)


def _ensure_anct() -> Operator:
    # The directory's import may have made it under the public file's name.
    operator = Operator.objects.filter(national=True).first()
    if operator is None:
        operator, _ = Operator.objects.update_or_create(
            name=people.ANCT_NAME,
            defaults={
                "name_with_article": "l’ANCT",
                "url": "https://anct.gouv.fr/",
                "siret": people.ANCT,
                "email": "instruction@anct.example",
                "status": Operator.Status.ACTIVE,
                "national": True,
            },
        )
    return operator


def _ensure_opsn() -> Operator:
    operator, _ = Operator.objects.get_or_create(
        name=people.OPSN_NAME,
        defaults={
            "name_with_article": people.OPSN_NAME,
            "siret": people.OPSN,
            "status": Operator.Status.ACTIVE,
            "departments": ["19", "23", "87"],
            "email": "contact@numerique-creuse.example",
        },
    )
    return operator


def _ensure_user(one: people.Persona) -> User:
    identity = Identity.objects.filter(issuer=settings.OIDC_OP_ISSUER, sub=one.sub).select_related("user").first()
    if identity is not None:
        return identity.user
    user = User.objects.create_user(email=one.email, given_name=one.given_name, usual_name=one.usual_name)
    Identity.objects.create(
        user=user, issuer=settings.OIDC_OP_ISSUER, sub=one.sub, siret=one.siret, roles=list(one.roles)
    )
    return user
