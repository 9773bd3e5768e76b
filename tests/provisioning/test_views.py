from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.provisioning import engine
from onboarding.provisioning.backends.local import LocalDns, LocalStorage
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.progress import fingerprint
from onboarding.provisioning.workflow import MailboxPlan
from suite.accounts.models import User
from suite.journal.models import Event
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


def stuck() -> tuple[Deployment, Step]:
    built = deployment()
    LocalStorage().ensure_space(f"org-{built.organization_id}", owner="somebody else")
    engine.advance(built.pk)
    return built, built.steps.get(name="storage")


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def person(kind: str, built: Deployment) -> User:
    """Return one of the people of the visibility matrix."""
    made: dict[str, Any] = {
        "member": lambda: MembershipFactory.create(organization=built.organization).user,
        "suspended member": lambda: MembershipFactory.create(organization=built.organization, suspended=True).user,
        "member elsewhere": lambda: MembershipFactory.create().user,
        "instructor": lambda: OperatorRoleFactory.create(operator=built.operator).user,
        "operator reader": lambda: OperatorRoleFactory.create(operator=built.operator, reader=True).user,
        "former instructor": lambda: OperatorRoleFactory.create(operator=built.operator, former=True).user,
        "other instructor": lambda: OperatorRoleFactory.create().user,
        "national instructor": lambda: OperatorRoleFactory.create(national=True).user,
        "stranger": UserFactory.create,
    }
    found: User = made[kind]()
    return found


MATRIX = [
    # who, sees, may act
    ("member", 200, 403),
    ("suspended member", 404, 404),
    ("member elsewhere", 404, 404),
    ("instructor", 200, 302),
    ("operator reader", 200, 403),
    ("former instructor", 404, 404),
    ("other instructor", 404, 404),
    ("national instructor", 200, 302),
    ("stranger", 404, 404),
]


@pytest.mark.parametrize(("who", "sees", "acts"), MATRIX)
def test_who_sees_and_who_acts(who: str, sees: int, acts: int) -> None:
    built, step = stuck()
    client = signed_in(person(who, built))
    assert client.get(reverse("provisioning:detail", args=[built.pk])).status_code == sees
    assert client.get(reverse("provisioning:progress", args=[built.pk])).status_code == sees
    reason = {"reason": "Espace fait à la main."}
    assert client.post(reverse("provisioning:skip", args=[step.pk]), reason).status_code == acts
    step.refresh_from_db()
    assert step.status == ("skipped" if acts == 302 else "blocked")


@pytest.mark.parametrize(("who", "sees", "acts"), MATRIX)
def test_who_retries(who: str, sees: int, acts: int) -> None:
    built, step = stuck()
    assert signed_in(person(who, built)).post(reverse("provisioning:retry", args=[step.pk])).status_code == acts


def test_a_visitor_is_sent_to_sign_in(client: Client) -> None:
    built = deployment()
    for name in ("detail", "progress"):
        assert client.get(reverse(f"provisioning:{name}", args=[built.pk])).status_code == 302


class TestDetail:
    def test_tells_each_piece_in_plain_words(self) -> None:
        built = deployment()
        engine.advance(built.pk)
        page = signed_in(person("member", built)).get(reverse("provisioning:detail", args=[built.pk]))
        text = page.content.decode()
        assert f"Votre nom de domaine {built.domain} répond." in text
        assert f"mairie@{built.domain}" in text
        assert "10\xa0Go" in text
        assert "En service" in text
        assert "hx-get" not in text
        assert "Actualiser" not in text

    def test_polls_while_it_is_built_and_has_a_link_without_javascript(self) -> None:
        built = deployment()
        text = signed_in(person("member", built)).get(reverse("provisioning:detail", args=[built.pk])).content.decode()
        assert "En file" in text
        assert 'hx-trigger="every 2s"' in text
        assert "Actualiser" in text

    def test_says_what_is_awaited_from_whom_and_shows_what_to_publish(self) -> None:
        built = deployment(external=True)
        LocalDns().ensure_zone(built.domain, owner="webmaster")
        engine.advance(built.pk)
        text = signed_in(person("member", built)).get(reverse("provisioning:detail", args=[built.pk])).content.decode()
        assert "En attente d’un tiers" in text
        assert "La commune doit publier" in text
        assert "v=DKIM1" in text
        assert "mx1.mail.suite.example." in text
        assert "p=reject" not in text

    def test_what_fails_is_unknown_with_the_date_of_the_last_look(self) -> None:
        built = deployment()
        engine.advance(built.pk)
        Step.objects.filter(deployment=built, name="storage").update(
            status="waiting", finished_at=None, failures=2, code="timeout", note="Le stockage ne répond pas."
        )
        text = signed_in(person("member", built)).get(reverse("provisioning:detail", args=[built.pk])).content.decode()
        assert "Inconnu pour l’instant" in text
        assert "Vu en place pour la dernière fois" in text

    def test_only_an_instructor_has_the_buttons(self) -> None:
        built, _ = stuck()
        address = reverse("provisioning:detail", args=[built.pk])
        assert "Relancer cette étape" in signed_in(person("instructor", built)).get(address).content.decode()
        assert "Relancer cette étape" not in signed_in(person("member", built)).get(address).content.decode()

    @pytest.mark.parametrize("boxes", [1, 40])
    def test_costs_the_same_queries_whatever_its_size(
        self, django_assert_max_num_queries: DjangoAssertNumQueries, boxes: int
    ) -> None:
        built = deployment(mailboxes=tuple(MailboxPlan(f"b{n}", f"B {n}", "shared") for n in range(boxes)))
        engine.advance(built.pk)
        for who in ("member", "instructor"):
            client = signed_in(person(who, built))
            with django_assert_max_num_queries(15):
                client.get(reverse("provisioning:detail", args=[built.pk]))
            with django_assert_max_num_queries(10):
                client.get(reverse("provisioning:progress", args=[built.pk]))


class TestProgress:
    def test_nothing_new_is_no_content(self) -> None:
        built = deployment()
        client = signed_in(person("member", built))
        address = reverse("provisioning:progress", args=[built.pk])
        seen = fingerprint(Deployment.objects.with_steps().get(pk=built.pk))
        assert client.get(address, {"vu": seen}).status_code == 204
        engine.advance(built.pk)
        fresh = client.get(address, {"vu": seen})
        assert fresh.status_code == 200
        assert "hx-trigger" not in fresh.content.decode()
        assert "<html" not in fresh.content.decode()

    def test_does_not_write(self) -> None:
        built = deployment()
        before = list(Step.objects.values())
        signed_in(person("member", built)).get(reverse("provisioning:progress", args=[built.pk]))
        assert list(Step.objects.values()) == before
        assert (
            signed_in(person("member", built)).post(reverse("provisioning:progress", args=[built.pk])).status_code
            == 405
        )


class TestRetry:
    def test_a_second_click_is_told_so_and_changes_nothing(self) -> None:
        built, step = stuck()
        client = signed_in(person("instructor", built))
        address = reverse("provisioning:retry", args=[step.pk])
        assert client.get(address).status_code == 405
        assert client.post(address).status_code == 302
        again = client.post(address)
        assert again.status_code == 409
        assert "n’attend plus d’intervention" in again.content.decode()
        assert Event.objects.filter(subject=built.pk, kind="step_retried").count() == 1


class TestSkip:
    def test_asks_why_then_keeps_what_was_typed(self) -> None:
        built, step = stuck()
        client = signed_in(person("instructor", built))
        address = reverse("provisioning:skip", args=[step.pk])
        assert client.get(address).status_code == 200
        for typed in ("", "bof"):
            wrong = client.post(address, {"reason": typed})
            assert wrong.status_code == 422
            text = wrong.content.decode()
            assert "Erreur" in text
            assert 'role="alert"' in text
            assert 'href="#id_reason"' in text
            assert typed in text
        step.refresh_from_db()
        assert step.status == "blocked"


class TestBlocked:
    def test_lists_what_the_operator_manages_the_oldest_first(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        (built, first), (other, second) = stuck(), stuck()
        Step.objects.filter(pk=second.pk).update(due_at=timezone.now() - timedelta(days=3))
        address = reverse("provisioning:blocked")
        mine = signed_in(person("instructor", built)).get(address).content.decode()
        assert built.domain in mine
        assert other.domain not in mine
        client = signed_in(person("national instructor", built))
        with django_assert_max_num_queries(15):
            everything = client.get(address).content.decode()
        assert everything.index(other.domain) < everything.index(built.domain)
        assert first.name == "storage"

    def test_is_for_operators_only(self) -> None:
        built, _ = stuck()
        assert signed_in(person("member", built)).get(reverse("provisioning:blocked")).status_code == 403

    def test_says_when_nothing_waits(self) -> None:
        page = signed_in(OperatorRoleFactory.create().user).get(reverse("provisioning:blocked"))
        assert "Rien n’attend votre intervention." in page.content.decode()
