"""« À reprendre »: by cause, together, by hand, or not at all; and somebody is told when it lasts."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.provisioning import circuits, dead_letters, engine, workflow
from onboarding.provisioning.backends.local import LocalStorage
from onboarding.provisioning.errors import Unavailable
from onboarding.provisioning.models import Deployment, Step
from suite.accounts.models import OperatorRole, User
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def stuck() -> list[Step]:
    """Three communes of one operator, whose space exists already, made by somebody else."""
    operator = OperatorFactory.create(email="equipe@operateur.example")
    made = [deployment(operator=operator) for _ in range(3)]
    for built in made:
        LocalStorage().ensure_space(f"org-{built.organization_id}", owner="somebody else")
        engine.advance(built.pk)
    return list(Step.objects.filter(status="blocked").select_related("deployment__operator"))


@pytest.fixture
def instructor(stuck: list[Step]) -> User:
    user = UserFactory.create()
    OperatorRoleFactory.create(user=user, role=OperatorRole.Role.INSTRUCTOR, operator=stuck[0].deployment.operator)
    return user


@pytest.fixture
def signed_in(client: Client, instructor: User) -> Client:
    client.force_login(instructor)
    return client


def free(steps: list[Step]) -> None:
    """Let whatever stood in the way be gone."""
    from onboarding.provisioning.backends import world  # noqa: PLC0415

    with world.changing() as connection:
        connection.execute("DELETE FROM spaces WHERE owner = 'somebody else'")


CAUSE = {"name": "storage", "code": "conflict"}


class TestCauses:
    def test_steps_blocked_alike_are_one_cause(self, stuck: list[Step], instructor: User) -> None:
        (cause,) = dead_letters.causes(instructor)
        assert (cause.name, cause.code, cause.count, cause.old) == ("storage", "conflict", 3, False)

    def test_nobody_sees_the_causes_of_another_operator(self, stuck: list[Step]) -> None:
        stranger = UserFactory.create()
        OperatorRoleFactory.create(user=stranger, role=OperatorRole.Role.INSTRUCTOR)
        assert dead_letters.causes(stranger) == []
        assert dead_letters.retry_all("storage", "conflict", {step.pk for step in stuck}, by=stranger) == (0, 3)


class TestCause:
    def test_shows_what_a_retry_would_take(
        self, signed_in: Client, stuck: list[Step], django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(15):
            response = signed_in.get(reverse("provisioning:cause", kwargs=CAUSE))
        text = response.content.decode()
        assert all(step.deployment.domain in text for step in stuck)

    def test_runs_again_what_was_shown_and_nothing_else(self, signed_in: Client, stuck: list[Step]) -> None:
        free(stuck)
        shown = [str(step.pk) for step in stuck[:2]]
        response = signed_in.post(reverse("provisioning:cause", kwargs=CAUSE), {"step": [*shown, "garbage"]})
        assert response.status_code == 302
        assert {str(step.pk) for step in Step.objects.filter(name="storage", status="waiting")} == set(shown)
        assert Event.objects.filter(kind="step_retried").count() == 2

    def test_what_moved_on_meanwhile_is_said(self, signed_in: Client, instructor: User, stuck: list[Step]) -> None:
        workflow.skip(stuck[0], by=instructor, reason="fait à la main")
        response = signed_in.post(
            reverse("provisioning:cause", kwargs=CAUSE), {"step": [str(step.pk) for step in stuck]}, follow=True
        )
        text = response.content.decode()
        assert "relancées\xa0: 2" in text
        assert "pas été touchées\xa0: 1" in text

    def test_a_kind_of_step_that_does_not_exist_is_not_found(self, signed_in: Client) -> None:
        assert signed_in.get(reverse("provisioning:cause", kwargs={**CAUSE, "name": "rien"})).status_code == 404


class TestDone:
    def test_takes_a_proof_and_goes_on(self, signed_in: Client, stuck: list[Step]) -> None:
        step = stuck[0]
        response = signed_in.post(
            reverse("provisioning:done", args=[step.pk]), {"proof": "espace vu dans la console, ticket 4512"}
        )
        assert response.status_code == 302
        assert Step.objects.get(pk=step.pk).status == "done"
        event = Event.objects.select_related("text").get(kind="step_marked_done")
        assert "ticket 4512" in event.text.comment

    def test_without_proof_nothing_is_done(self, signed_in: Client, stuck: list[Step]) -> None:
        response = signed_in.post(reverse("provisioning:done", args=[stuck[0].pk]), {"proof": "vu"})
        assert response.status_code == 422
        assert Step.objects.get(pk=stuck[0].pk).status == "blocked"

    def test_what_moved_on_is_left_alone(self, signed_in: Client, instructor: User, stuck: list[Step]) -> None:
        workflow.retry(stuck[0], by=instructor)
        signed_in.post(reverse("provisioning:done", args=[stuck[0].pk]), {"proof": "espace vu dans la console"})
        assert Step.objects.get(pk=stuck[0].pk).status == "waiting"


class TestAbandon:
    def test_stops_building_and_deletes_nothing(self, signed_in: Client, stuck: list[Step]) -> None:
        built = stuck[0].deployment
        response = signed_in.post(reverse("provisioning:abandon", args=[stuck[0].pk]), {"reason": "la commune renonce"})
        assert response.status_code == 302
        assert Deployment.objects.get(pk=built.pk).closure.opened_by is not None
        assert engine.advance(built.pk) == 0
        assert {event.kind for event in Event.objects.about("deployment", built.pk)} >= {
            "step_abandoned",
            "closure_opened",
        }

    def test_a_reader_may_not(self, client: Client, stuck: list[Step]) -> None:
        reader = UserFactory.create()
        OperatorRoleFactory.create(user=reader, role=OperatorRole.Role.READER, operator=stuck[0].deployment.operator)
        client.force_login(reader)
        assert client.get(reverse("provisioning:abandon", args=[stuck[0].pk])).status_code == 403
        with pytest.raises(PermissionDenied):
            workflow.mark_done(stuck[0], by=reader, proof="vu dans la console")


class TestAlert:
    def test_an_operator_is_told_once_a_day_of_what_is_more_than_a_day_old(self, stuck: list[Step]) -> None:
        assert dead_letters.alert() == 0
        Step.objects.filter(status="blocked").update(due_at=timezone.now() - timedelta(days=2))
        for _ in range(3):
            assert dead_letters.alert() == 1
        notice = Notice.objects.get(kind="blocked_steps")
        assert notice.recipient == "equipe@operateur.example"
        assert "3" in notice.body_text


class TestMerged:
    def test_a_commune_merged_while_being_built_waits_for_a_person(self) -> None:
        built = deployment()
        step = engine.claim(built.pk)
        assert step is not None
        engine.finish(step, None)
        other = deployment().organization
        built.organization.successor = other
        built.organization.closed_on = timezone.localdate()
        built.organization.save()
        engine.advance(built.pk)
        blocked = built.steps.get(status="blocked")
        assert blocked.code == "organization_merged"
        assert other.name in blocked.note
        assert not built.steps.filter(name="mail_domain", status="done").exists()


class TestCircuitsOnThePage:
    def test_an_open_circuit_is_shown_with_its_cause_and_since_when(self, signed_in: Client) -> None:
        error = Unavailable("denied", "Notre clé est refusée.")
        with pytest.raises(Unavailable), circuits.passing("mail"):
            raise error
        text = signed_in.get(reverse("provisioning:blocked")).content.decode()
        assert "Messagerie" in text
        assert "Notre clé est refusée." in text
        assert "denied" in text
