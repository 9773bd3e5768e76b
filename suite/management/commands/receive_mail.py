"""`manage.py receive_mail`: the LMTP server of bounces and answers; `docs/mail.md` says how Postfix speaks to it."""

import asyncio
import contextlib
import signal

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from suite.notices import receiver


class Command(BaseCommand):
    """Listen until told to stop."""

    help = "Takes in, by LMTP at INBOUND_LMTP, the bounces and the answers of INBOUND_MAIL_DOMAIN."

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002 - Django's signature
        if not settings.INBOUND_MAIL_DOMAIN:
            raise CommandError("Set INBOUND_MAIL_DOMAIN: without it no address of ours exists to receive at.")
        try:
            place = receiver.place_of(settings.INBOUND_LMTP)
        except receiver.CannotListen as error:
            raise CommandError(str(error)) from None
        try:
            asyncio.run(self._serve(place))
        except OSError as error:
            raise CommandError(f"Cannot listen at {settings.INBOUND_LMTP}: {error.strerror}.") from None

    async def _serve(self, place: receiver.Place) -> None:
        server = asyncio.ensure_future(receiver.serve(place, ready=self._ready))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await server

    def _ready(self, where: str) -> None:
        self.stdout.write(f"Receiving mail at {where}.")
        self.stdout.flush()
