"""What changed, as a person reads it."""

from onboarding.intake.reserved import RESERVED
from onboarding.intake.trade import ALLOCATION
from suite.trade.differences import ABSENT, between


def test_a_changed_field_shows_both_values() -> None:
    (line,) = between(ALLOCATION, {"mailboxes": 20, "storage_gb": 10}, {"mailboxes": 30, "storage_gb": 10})
    assert (line.field, line.before, line.after) == ("Boîtes aux lettres", "20", "30")


def test_rows_are_known_by_their_name_whatever_their_order() -> None:
    one = {"pattern": "mairie-*", "decision": "review", "reason": "Ambigu.", "source": "Usage"}
    two = {"pattern": "www", "decision": "block", "reason": "Technique.", "source": "Usage"}
    assert between(RESERVED, [one, two], [two, one]) == []
    added, changed, gone = between(RESERVED, [one, two], [{**two, "pattern": "smtp"}, {**one, "decision": "block"}])
    assert (added.row, added.field, added.before) == ("smtp", "Ligne ajoutée", ABSENT)
    assert (changed.row, changed.before, changed.after) == ("mairie-*", "review", "block")
    assert (gone.row, gone.field, gone.after) == ("www", "Ligne retirée", ABSENT)
