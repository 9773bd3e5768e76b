"""A worker that brings old mail, for test_mail_import.py: it dies by SIGKILL where its environment says.

DEATHS lists after how many messages put (in all its lives, counted in COUNT_FILE) it dies, the last not yet noted.
"""

import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from uuid import UUID

import django

from onboarding.provisioning.backends.local_mail import LocalMail


class DyingMail(LocalMail):
    """Kills its own process right after a message was put: nobody wrote down that it was."""

    def import_message(self, address: str, folder: str, raw: bytes, *, received_at: datetime, seen: bool) -> None:
        super().import_message(address, folder, raw, received_at=received_at, seen=seen)
        file = Path(os.environ["COUNT_FILE"])
        count = int(file.read_text() or 0) + 1 if file.exists() else 1
        file.write_text(str(count))
        if str(count) in os.environ["DEATHS"].split(","):
            os.kill(os.getpid(), signal.SIGKILL)


def main(pk: str) -> None:
    django.setup()
    from onboarding.provisioning import moves  # noqa: PLC0415 - Django comes first
    from onboarding.provisioning.move_models import MailImport  # noqa: PLC0415

    while MailImport.objects.filter(pk=pk, state=MailImport.State.RUNNING).exists():
        if not moves.run("mail_import", UUID(pk)):
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
