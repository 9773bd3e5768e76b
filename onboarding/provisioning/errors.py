"""The three ways not to succeed. Each has a stable `code`, and a `note` in French for the people who follow it."""

from datetime import timedelta


class Outcome(Exception):
    """Why a step did not end. Only its three kinds are raised."""

    def __init__(self, code: str, note: str) -> None:
        super().__init__(code)
        self.code = code
        self.note = note


class NotYet(Outcome):
    """Nothing is wrong: somebody else has to act, or time to pass. Asked again `after` that long."""

    def __init__(self, code: str, note: str, *, after: timedelta) -> None:
        super().__init__(code, note)
        self.after = after


class Unavailable(Outcome):
    """The other side did not answer, or not clearly: the same call later, with back-off."""


class Refused(Outcome):
    """The other side said no, and will say it again: a person must act."""


class Held(NotYet):
    """We do not call now: the provider's circuit is open, or it has as many of our calls as it bears.

    Nothing was asked, so nothing is learnt: neither a failure nor a success of the step.
    """


class WrongState(Exception):
    """The step is no longer where the person saw it; the text says so, in French."""
