"""The verbs: a version follows another, says who and why, and never replaces what somebody else just wrote."""

import pytest

from suite.journal.models import Event
from suite.journal.workflow import verify
from suite.trade import workflow
from suite.trade.models import Setting
from suite.trade.registry import SCHEMAS, Invalid, Schema, register
from tests.factories.accounts import UserFactory

pytestmark = pytest.mark.django_db
WHY = "Décision du comité de pilotage."
VALUE = {"mailboxes": 30, "storage_gb": 10}


def test_a_version_is_signed_explained_and_in_the_journal() -> None:
    lead = UserFactory.create(given_name="Ada", usual_name="Lovelace")
    row = workflow.save("allocation", VALUE, expected=0, by=lead, reason=f"  {WHY} ")
    assert (row.version, row.value, row.author, row.reason) == (1, VALUE, lead.pk, WHY)
    event = Event.objects.about("setting", workflow.subject("allocation", None)).get()
    assert (event.kind, event.actor, event.payload["version"]) == ("setting.changed", lead.pk, 1)
    assert event.text.comment == WHY
    assert verify() == []


def test_a_change_based_on_an_older_version_is_refused_and_nothing_is_written() -> None:
    workflow.save("allocation", VALUE, expected=0, by=None, reason=WHY)
    for expected in (0, 5, -1):
        with pytest.raises(workflow.Stale) as stale:
            workflow.save("allocation", {**VALUE, "mailboxes": 40}, expected=expected, by=None, reason=WHY)
        assert stale.value.latest == 1
    assert Setting.objects.count() == 1


def test_the_same_value_again_is_no_version() -> None:
    with pytest.raises(workflow.Unchanged):
        workflow.save("allocation", {"mailboxes": 20, "storage_gb": 10}, expected=0, by=None, reason=WHY)


@pytest.mark.parametrize("reason", ["", "   ", "parce que"])
def test_a_change_without_a_real_reason_is_refused(reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        workflow.save("allocation", VALUE, expected=0, by=None, reason=reason)
    assert refused.value.problems[0].field == "reason"


def test_going_back_is_a_new_version_that_says_what_the_old_one_said() -> None:
    first = workflow.save("allocation", VALUE, expected=0, by=None, reason=WHY)
    workflow.save("allocation", {**VALUE, "mailboxes": 40}, expected=1, by=None, reason=WHY)
    back = workflow.restore(first, expected=2, by=None, reason="Retour à la décision de mars.")
    assert (back.version, back.value) == (3, VALUE)
    assert [row.version for row in Setting.objects.about("allocation")] == [3, 2, 1]


def test_two_settings_of_one_name_cannot_exist() -> None:
    with pytest.raises(ValueError, match="allocation"):
        register(Schema("allocation", "", "", lambda value: value, lambda value: value, lambda: None))


@pytest.mark.parametrize("key", sorted(SCHEMAS))
def test_every_default_survives_being_stored_and_read(key: str) -> None:
    schema = SCHEMAS[key]
    if key == "operator":
        pytest.skip("the card of no operator is not one")
    assert schema.load(schema.dump(schema.default())) == schema.default()


@pytest.mark.parametrize("key", sorted(SCHEMAS))
@pytest.mark.parametrize(
    "garbage", [None, "", 3, [], [[]], [None], {}, [{}], {"mailboxes": []}, [{"pattern": 4, "day": {}}], "\x00"]
)
def test_no_stored_garbage_breaks_a_schema(key: str, garbage: object) -> None:
    said: list[str] = []
    try:
        SCHEMAS[key].dump(SCHEMAS[key].load(garbage))
    except Invalid as refused:
        said = [problem.message for problem in refused.problems]
    assert all(said)
