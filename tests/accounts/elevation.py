"""A second factor given a moment ago, for the tests of what comes after it."""

import time

from django.test import Client

from suite.accounts import stepup


def elevate(client: Client, *, asked: bool = True, by_mail: bool = False, ago: float = 0) -> None:
    """Write in the browser's session what a second factor writes there."""
    session = client.session
    session[stepup.KEY] = {"at": time.time() - ago, "asked": asked, "by_mail": by_mail, "spent": 0.0}
    session.save()
