"""Step 5 shows, links and has accepted the very texts in force; what was accepted is frozen on sending."""

import pytest
from django.test import Client
from django.urls import reverse

from onboarding.agreements import texts
from onboarding.agreements.models import Acceptance, Text
from onboarding.intake import checks, moves, workflow
from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.agreements import TextFactory
from tests.factories.intake import DossierFactory
from tests.intake.browsing import page, sign_in, version
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
DECLARED = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}


@pytest.fixture
def draft(commune: Organization, agent: User, anct: Operator) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


def fifth(draft: Dossier) -> str:
    return f"/demandes/{draft.pk}/etape/5/"


def send(client: Client, draft: Dossier, shown: str = "") -> int:
    url = fifth(draft)
    data = {**DECLARED, "version": version(client, url), "action": "submit"}
    return client.post(url, data | ({"terms_version": shown} if shown else {})).status_code


def test_step_5_shows_the_prices_and_links_the_three_texts(town_hall: Client, draft: Dossier) -> None:
    html = page(town_hall, fifth(draft))

    assert "Gratuit" in html
    for text in texts.in_force(None):
        assert reverse("agreements:text", args=[text.pk]) in html


def test_sending_writes_who_accepted_which_text_with_which_mandate(
    town_hall: Client, draft: Dossier, agent: User
) -> None:
    assert send(town_hall, draft) == 302

    sent = Dossier.objects.get(pk=draft.pk)
    assert sent.status == Dossier.Status.SUBMITTED
    assert sent.terms_version == texts.bundle(texts.in_force(sent.operator))
    assert Event.objects.get(kind="submit").payload["terms"] == sent.terms_version
    rows = Acceptance.objects.filter(case=sent.pk, user=agent)
    assert {(one.text.kind, one.mandate, one.signatory.function) for one in rows} == {
        (kind, 2, "Secrétaire de mairie") for kind in Text.Kind.values
    }


def test_a_text_published_while_one_reads_is_not_accepted_unread(town_hall: Client, draft: Dossier) -> None:
    shown = texts.bundle(texts.in_force(None))
    TextFactory.create()

    assert send(town_hall, draft, shown) == 422
    assert Dossier.objects.get(pk=draft.pk).status == Dossier.Status.DRAFT
    assert not Acceptance.objects.exists()
    assert send(town_hall, draft, texts.bundle(texts.in_force(None))) == 302


def test_a_box_ticked_for_the_former_texts_is_worth_nothing(draft: Dossier, agent: User) -> None:
    TextFactory.create()
    draft = Dossier.objects.get(pk=draft.pk)

    assert [one.field for one in checks.can_submit(draft)] == ["accepts_terms"]
    with pytest.raises(moves.GuardFailed):
        workflow.submit(draft, by=agent, version=draft.version)
    assert not Event.objects.filter(kind="submit").exists()


def test_a_text_published_after_sending_does_not_hold_the_approval(
    commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    dossier = situation("in_review", commune, agent, anct, instructor)
    TextFactory.create()
    workflow.approve(dossier, by=instructor, version=dossier.version)

    assert Dossier.objects.get(pk=dossier.pk).status == Dossier.Status.APPROVED
    assert len(texts.missing(commune)) == 1


def test_nothing_is_approved_that_the_commune_never_signed(
    commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    dossier = DossierFactory.create(
        in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor, accepted=False
    )
    with pytest.raises(moves.GuardFailed, match="n’a pas encore accepté"):
        workflow.approve(dossier, by=instructor, version=dossier.version)


def test_the_approval_makes_a_weak_convention_firm(
    commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    dossier = situation("in_review", commune, agent, anct, instructor)
    convention = Acceptance.objects.get(case=dossier.pk, text__kind="convention")
    assert not texts.is_firm(convention)
    workflow.approve(dossier, by=instructor, version=dossier.version, check="Appel à la mairie.")

    assert texts.is_firm(Acceptance.objects.get(pk=convention.pk))
