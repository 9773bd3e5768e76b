"""One list says what is missing: for the page, and for the transition."""

from collections.abc import Callable
from typing import Any

import pytest

from onboarding.intake import checks, workflow
from onboarding.intake.models import Dossier, MailboxRequest
from onboarding.intake.moves import GuardFailed
from suite.accounts.models import User
from suite.catalog.models import Service
from suite.directory.models import Operator, Organization
from tests.factories.directory import CommuneFactory, DepartmentFactory, NameFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory, NameChoiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def dossier(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


def fields(dossier: Dossier) -> set[str]:
    return {problem.field for problem in checks.can_submit(Dossier.objects.get(pk=dossier.pk))}


def test_a_complete_dossier_has_no_problem(dossier: Dossier) -> None:
    assert checks.can_submit(dossier) == []


def service(dossier: Dossier, *, with_need: bool) -> None:
    need = Service.objects.create(id=9001, slug="besoin", name="Besoin", description="…")
    wanted = Service.objects.create(id=9002, slug="voulu", name="Voulu", description="…")
    wanted.requires.add(need)
    dossier.requested_services.create(service=wanted)
    if with_need:
        dossier.requested_services.create(service=need)


BREAKS: dict[str, tuple[str, Callable[[Dossier], Any]]] = {
    "given name": ("requester_given_name", lambda it: _set(it, requester_given_name="")),
    "family name": ("requester_family_name", lambda it: _set(it, requester_family_name="")),
    "function": ("requester_function", lambda it: _set(it, requester_function="")),
    "e-mail": ("requester_email", lambda it: _set(it, requester_email="")),
    "wrong e-mail": ("requester_email", lambda it: _set(it, requester_email="camille@")),
    "phone": ("requester_phone", lambda it: _set(it, requester_phone="")),
    "wrong phone": ("requester_phone", lambda it: _set(it, requester_phone="12 34")),
    "family": ("family", lambda it: _set(it, family="")),
    "name": ("name", lambda it: it.names.all().delete()),
    "wrong name": ("name", lambda it: it.names.update(fqdn="gouv.collectivite.fr")),
    "unrelated name": ("justification", lambda it: it.names.update(fqdn="petite-cite.collectivite.fr")),
    "same alternative": (
        "alternative_1",
        lambda it: NameChoiceFactory.create(dossier=it, rank=1, typed="rochefort-en-terre.collectivite.fr"),
    ),
    "who manages": ("dns_manager", lambda it: _existing(it, dns_manager="")),
    "mail in use": ("mail_in_use", lambda it: _existing(it, mail_in_use=None)),
    "mail provider": ("mail_provider", lambda it: _existing(it, mail_in_use=True)),
    "mailboxes": ("mailboxes", lambda it: it.mailboxes.all().delete()),
    "administrator": ("mailboxes", lambda it: it.mailboxes.update(administrator=False)),
    "person's name": ("mailboxes-0-family_name", lambda it: it.mailboxes.update(family_name="")),
    "address": ("mailboxes-0-local_part", lambda it: it.mailboxes.update(local_part="")),
    "role address": ("mailboxes-0-local_part", lambda it: it.mailboxes.update(local_part="mairie")),
    "recovery": ("mailboxes-0-recovery_email", lambda it: it.mailboxes.update(recovery_email="")),
    "wrong recovery": ("mailboxes-0-recovery_email", lambda it: it.mailboxes.update(recovery_email="x")),
    "recovery inside": (
        "mailboxes-0-recovery_email",
        lambda it: it.mailboxes.update(recovery_email="c@rochefort-en-terre.collectivite.fr"),
    ),
    "twice": (
        "mailboxes-1-local_part",
        lambda it: MailboxRequestFactory.create(dossier=it, local_part=it.mailboxes.get().local_part),
    ),
    "redirection": (
        "mailboxes-1-targets",
        lambda it: MailboxRequestFactory.create(dossier=it, kind=MailboxRequest.Kind.REDIRECT, local_part="x"),
    ),
    "wrong target": (
        "mailboxes-1-targets",
        lambda it: MailboxRequestFactory.create(dossier=it, kind="redirect", local_part="x", targets="nobody"),
    ),
    "storage": ("storage_gb", lambda it: _set(it, storage_gb=None)),
    "no storage": ("storage_gb", lambda it: _set(it, storage_gb=0)),
    "too much": ("allocation_reason", lambda it: _set(it, storage_gb=11)),
    "too many": (
        "allocation_reason",
        lambda it: [MailboxRequestFactory.create(dossier=it, local_part=f"p{n}") for n in range(20)],
    ),
    "contact": ("privacy_contact_email", lambda it: _set(it, privacy_contact_email="x")),
    "prerequisite": ("services", lambda it: service(it, with_need=False)),
    "exactness": ("declares_exact", lambda it: _set(it, declares_exact=False)),
    "mandate": ("declares_mandate", lambda it: _set(it, declares_mandate=False)),
    "terms": ("accepts_terms", lambda it: _set(it, accepts_terms=False)),
    "population": ("organization", lambda _: Organization.objects.update(population=3500)),
    "rival": ("organization", lambda it: DossierFactory.create(organization=it.organization, sent=True)),
}


def _set(dossier: Dossier, **values: Any) -> None:
    Dossier.objects.filter(pk=dossier.pk).update(**values)


def _existing(dossier: Dossier, **values: Any) -> None:
    dossier.names.update(fqdn="rochefort-exemple.fr")
    _set(dossier, **{"family": "existing", "dns_manager": "commune", "mail_in_use": False, **values})


@pytest.mark.parametrize("what", BREAKS)
def test_each_thing_missing_is_named_and_keeps_the_dossier_here(
    what: str, dossier: Dossier, agent: User, anct: Operator
) -> None:
    field, damage = BREAKS[what]
    damage(dossier)
    assert field in fields(dossier)
    with pytest.raises(GuardFailed) as refusal:
        workflow.submit(Dossier.objects.get(pk=dossier.pk), by=agent, version=dossier.version)
    assert field in {problem.field for problem in refusal.value.problems}
    assert Dossier.objects.get(pk=dossier.pk).status == "draft"


def test_a_service_with_what_it_needs_is_fine(dossier: Dossier) -> None:
    service(dossier, with_need=True)
    assert fields(dossier) == set()


def test_a_reason_opens_a_larger_allocation(dossier: Dossier) -> None:
    _set(dossier, storage_gb=15, allocation_reason="Dix ans de cadastre numérisé.")
    assert fields(dossier) == set()


def test_an_explained_name_may_be_asked(dossier: Dossier) -> None:
    dossier.names.update(fqdn="petite-cite.collectivite.fr")
    _set(dossier, justification="C’est notre nom d’usage depuis 1911.")
    assert fields(dossier) == set()


@pytest.mark.parametrize("label", ["rochefortenterre", "mairie-rochefort-en-terre", "rochefort-en-terre56"])
def test_near_forms_of_the_name_need_no_explanation(label: str, dossier: Dossier) -> None:
    dossier.names.update(fqdn=f"{label}.collectivite.fr")
    assert fields(dossier) == set()


def test_a_homonym_even_of_the_past_takes_the_bare_name_away(dossier: Dossier) -> None:
    NameFactory.create(name="Rochefort en Terre", organization=CommuneFactory.create())
    assert fields(dossier) == {"justification"}
    dossier.names.update(fqdn="rochefort-en-terre56.collectivite.fr")
    assert fields(dossier) == set()


def test_a_commune_named_as_a_departement_does_not_get_the_bare_name(agent: User) -> None:
    DepartmentFactory.create(code="85")
    dossier = DossierFactory.create(organization=CommuneFactory.create(name="Vendée"))
    assert "justification" in fields(dossier)


def test_a_live_domain_of_another_is_taken(dossier: Dossier, anct: Operator) -> None:
    from onboarding.provisioning.models import Deployment  # noqa: PLC0415

    Deployment.objects.create(
        organization=CommuneFactory.create(),
        operator=anct,
        domain="rochefort-en-terre.collectivite.fr",
        zone_kind="shared",
        welcome_email="a@b.example",
    )
    assert fields(dossier) == {"name"}
