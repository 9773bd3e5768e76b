"""What is there against what was decided: mended where nobody loses anything, an alarm elsewhere."""

import pytest
from django.utils import timezone

from onboarding.provisioning import engine, observation
from onboarding.provisioning.backends import world
from onboarding.provisioning.backends.local import LocalDns, LocalMail
from onboarding.provisioning.backends.protocols import Mailbox, Record
from onboarding.provisioning.models import Deployment, Resource
from suite.catalog.models import GB
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db
Status = Deployment.Status


@pytest.fixture
def built() -> Deployment:
    made = deployment()
    engine.advance(made.pk)
    assert made.status == Status.LIVE
    return made


def look(built: Deployment) -> Deployment:
    assert observation.observe(built.pk) == 0
    return Deployment.objects.with_steps().get(pk=built.pk)


def kinds(built: Deployment) -> list[str]:
    return [event.kind for event in Event.objects.about("deployment", built.pk)][2:]


def change(statement: str, *values: object) -> None:
    """Do what somebody does behind our back."""
    with world.changing() as connection:
        assert connection.execute(statement, values).rowcount == 1


class TestNothing:
    def test_what_is_as_decided_is_left_alone(self, built: Deployment) -> None:
        before = world.listing()
        assert look(built).status == Status.LIVE
        assert world.listing() == before
        assert kinds(built) == []

    def test_a_registered_name_too(self) -> None:
        made = deployment(registered=True)
        engine.advance(made.pk)
        assert look(made).status == Status.LIVE
        assert kinds(made) == []


class TestSafe:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE spaces SET quota = 1",
            "UPDATE mailboxes SET display_name = 'Autre' WHERE address LIKE 'mairie@%'",
            "UPDATE rrsets SET contents = '[\"10 ailleurs.example.\"]' WHERE type = 'MX' AND contents LIKE '%mail%'",
            "DELETE FROM rrsets WHERE name LIKE '_dmarc.%'",
        ],
        ids=["quota", "display-name", "record-changed", "record-gone"],
    )
    def test_is_mended_through_the_step_that_built_it(self, built: Deployment, statement: str) -> None:
        before = {key: value for key, value in world.listing().items() if key != "created"}
        change(statement)
        after = look(built)
        assert {key: value for key, value in world.listing().items() if key != "created"} == before
        assert (after.status, kinds(built)) == (Status.LIVE, ["drift_mended"])
        assert not Notice.objects.filter(kind="drift").exists()
        assert not Resource.objects.exclude(drift=[]).exists()

    def test_a_name_that_points_nowhere_is_pointed_again(self) -> None:
        made = deployment(registered=True)
        engine.advance(made.pk)
        change("UPDATE names SET delegation = NULL WHERE domain = ?", made.domain)
        assert look(made).status == Status.LIVE
        assert kinds(made) == ["drift_mended"]
        assert world.listing()["names"][0]["delegation"] is not None

    def test_is_not_mended_while_a_plan_is_being_built(self, built: Deployment) -> None:
        built.steps.filter(name="welcome").update(status="waiting", finished_at=None, due_at=timezone.now())
        change("UPDATE spaces SET quota = 1")
        look(built)
        assert world.listing()["spaces"][0]["quota"] == 1
        assert kinds(built) == []


class TestAlarm:
    def test_a_mailbox_that_is_gone_is_not_made_again_behind_its_people(self, built: Deployment) -> None:
        change("DELETE FROM mailboxes WHERE address LIKE 'mairie@%'")
        after = look(built)
        assert (after.status, kinds(built)) == (Status.LIVE_WITH_GAPS, ["drift_alarm"])
        assert len(world.listing()["mailboxes"]) == 1

    def test_a_mailbox_that_nobody_asked_for_is_told_and_left(self, built: Deployment) -> None:
        LocalMail().ensure_mailbox(Mailbox(f"inconnue@{built.domain}", "shared", "Inconnue"), owner=built.owner)
        assert look(built).status == Status.LIVE_WITH_GAPS
        notice = Notice.objects.get(kind="drift")
        assert f"inconnue@{built.domain}" in notice.body_text
        assert len(world.listing()["mailboxes"]) == 3

    def test_a_record_of_somebody_else_is_told_and_left(self, built: Deployment) -> None:
        LocalDns().ensure_records(built.domain, [Record(f"www.{built.domain}", "A", ("192.0.2.1",))], owner="webmaster")
        assert look(built).status == Status.LIVE_WITH_GAPS
        assert any(each.name == f"www.{built.domain}" for each in LocalDns().records(built.domain))

    def test_a_space_that_holds_more_than_was_decided_is_not_cut(self, built: Deployment) -> None:
        change("UPDATE spaces SET quota = ?", 20 * GB)
        with world.changing() as connection:
            space = connection.execute("SELECT name FROM spaces").fetchone()["name"]
            connection.execute("INSERT INTO objects (space, name, body) VALUES (?, 'a', zeroblob(2000))", (space,))
        Resource.objects.filter(kind="storage").update(desired={"space": space, "quota": 1000})
        assert look(built).status == Status.LIVE_WITH_GAPS
        assert world.listing()["spaces"][0]["quota"] == 20 * GB

    def test_is_told_once_and_closes_by_itself(self, built: Deployment) -> None:
        unknown = Mailbox(f"inconnue@{built.domain}", "shared", "Inconnue")
        LocalMail().ensure_mailbox(unknown, owner=built.owner)
        for _ in range(3):
            look(built)
        assert Notice.objects.filter(kind="drift").count() == 1
        change("DELETE FROM mailboxes WHERE address LIKE 'inconnue@%'")
        assert look(built).status == Status.LIVE
        assert kinds(built) == ["drift_alarm", "drift_closed"]
        # It comes back: another alarm, told again.
        LocalMail().ensure_mailbox(unknown, owner=built.owner)
        look(built)
        assert Notice.objects.filter(kind="drift").count() == 2
