import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from onboarding.provisioning import engine, workflow
from onboarding.provisioning.backends.local import LocalStorage
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.workflow import MailboxPlan, PlanRefused
from suite.accounts.models import User
from suite.journal.models import Event
from suite.journal.workflow import verify
from tests.factories.accounts import OperatorRoleFactory, UserFactory
from tests.factories.provisioning import PlanFactory, deployment

pytestmark = pytest.mark.django_db


def blocked() -> tuple[Step, User]:
    """Return a step that is blocked and an instructor of its operator."""
    built = deployment()
    LocalStorage().ensure_space(f"org-{built.organization_id}", owner="somebody else")
    engine.advance(built.pk)
    step = built.steps.select_related("deployment").get(name="storage")
    assert step.status == "blocked"
    return step, OperatorRoleFactory.create(operator=built.operator).user


class TestStart:
    def test_writes_the_plan_in_order(self) -> None:
        names = [step.name for step in deployment(registered=True).steps.all()]
        assert names == [
            "registration",
            "zone",
            "mail_domain",
            "records",
            "verification",
            "mailbox",
            "mailbox",
            "storage",
            "service",
            "service",
            "service",
            "end_to_end",
            "welcome",
        ]

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"mailboxes": (MailboxPlan("a", "A", "shared"), MailboxPlan("A", "B", "shared"))}, "même adresse"),
            ({"service_ids": (999,)}, "999"),
            ({"zone_kind": "lunaire"}, "nature"),
            ({"domain": "pas un nom"}, "n’est pas un nom de domaine"),
        ],
    )
    def test_refuses_a_plan_that_cannot_be(self, wrong: dict[str, object], words: str) -> None:
        plan = PlanFactory.create(**wrong)
        with pytest.raises(PlanRefused, match=words):
            workflow.start(plan, by=UserFactory.create())
        assert not Deployment.objects.exists()

    def test_a_name_and_an_organization_have_one_live_deployment(self) -> None:
        built = deployment()
        for again in ({"domain": built.domain.upper()}, {"organization": built.organization}):
            with pytest.raises(PlanRefused, match="déjà"):
                deployment(**again)
        assert Deployment.objects.count() == 1


class TestRetry:
    def test_runs_the_step_again_and_says_so(self) -> None:
        step, operator = blocked()
        workflow.retry(step, by=operator)
        step.refresh_from_db()
        assert (step.status, step.failures, step.code) == ("waiting", 0, "")
        event = Event.objects.about("deployment", step.deployment_id).last()
        assert event is not None
        assert (event.kind, event.actor) == ("step_retried", operator.pk)
        assert verify() == []

    def test_only_a_blocked_step_is_retried(self) -> None:
        step, operator = blocked()
        workflow.retry(step, by=operator)
        with pytest.raises(WrongState):
            workflow.retry(step, by=operator)


class TestSkip:
    def test_goes_on_with_a_gap_and_keeps_the_reason(self) -> None:
        step, operator = blocked()
        workflow.skip(step, by=operator, reason="Espace fait à la main.")
        built = step.deployment
        engine.advance(built.pk)
        assert built.status == Deployment.Status.LIVE_WITH_GAPS
        events = {event.kind: event for event in Event.objects.about("deployment", built.pk)}
        assert events["step_skipped"].text.comment == "Espace fait à la main."
        assert events["completed"].payload == {"skipped": 1}

    def test_skipping_the_last_step_completes(self) -> None:
        step, operator = blocked()
        Step.objects.filter(deployment=step.deployment, position__gt=step.position).delete()
        workflow.skip(step, by=operator, reason="Espace fait à la main.")
        assert Event.objects.filter(subject=step.deployment_id, kind="completed").count() == 1

    @pytest.mark.parametrize("verb", [workflow.retry, partial(workflow.skip, reason="Fait à la main.")])
    @pytest.mark.parametrize("who", ["reader", "other operator", "nobody"])
    def test_only_an_instructor_of_the_operator_acts(self, verb: Callable[..., None], who: str) -> None:
        step, _ = blocked()
        people: dict[str, Callable[[], User]] = {
            "reader": lambda: OperatorRoleFactory.create(operator=step.deployment.operator, reader=True).user,
            "other operator": lambda: OperatorRoleFactory.create().user,
            "nobody": UserFactory.create,
        }
        person = people[who]()
        with pytest.raises(PermissionDenied):
            verb(step, by=person)
        step.refresh_from_db()
        assert step.status == "blocked"

    def test_the_national_operator_acts_everywhere(self) -> None:
        step, _ = blocked()
        workflow.retry(step, by=OperatorRoleFactory.create(national=True).user)


@pytest.mark.parametrize("close", [True, False])
def test_nothing_is_retried_in_a_closed_deployment(*, close: bool) -> None:
    step, operator = blocked()
    if close:
        Deployment.objects.filter(pk=step.deployment_id).update(closed_at=timezone.now())
        with pytest.raises(WrongState):
            workflow.retry(step, by=operator)
    else:
        workflow.retry(step, by=operator)
    step.refresh_from_db()
    assert step.status == ("blocked" if close else "waiting")


@pytest.mark.django_db(transaction=True)
def test_two_operators_do_not_both_act() -> None:
    step, operator = blocked()
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def act(verb: Callable[[], None]) -> None:
        try:
            barrier.wait(timeout=10)
            verb()
            outcomes.append("done")
        except WrongState:
            outcomes.append("refused")
        finally:
            connection.close()

    verbs = [
        lambda: workflow.retry(step, by=operator),
        lambda: workflow.skip(step, by=operator, reason="Fait à la main."),
    ]
    threads = [threading.Thread(target=act, args=(verb,)) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(outcomes) == ["done", "refused"]
