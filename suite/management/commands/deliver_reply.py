"""`manage.py deliver_reply FILE`: the door by which somebody tries, on a laptop, what a mail server would hand over.

FILE is an answer as a mail program writes it or, with `--text`, a message of ours (`.local/mail` holds them in a
checkout) that is answered with these words by whoever received it.
"""

from argparse import ArgumentParser
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses, make_msgid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from suite.notices.delivery import NotTaken, hand_over

# The file backend ends each message of a file with such a line.
_RULE = b"-" * 79


class Command(BaseCommand):
    """Hand one answer over by LMTP."""

    help = "Gives an answer to the running receive_mail; with --text, answers one of our own messages."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--text", default="", help="answer the message of the file with these words")

    def handle(self, *args: object, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        raw = options["file"].read_bytes().partition(b"\n" + _RULE)[0]
        message = message_from_bytes(raw, policy=policy.default)
        if options["text"]:
            message = _answer(message, options["text"])
        to, sender = _address(message, "To"), _address(message, "From")
        try:
            hand_over(message.as_bytes(policy=policy.SMTP), sender=sender, to=to)
        except NotTaken as refusal:
            if refusal.code:
                raise CommandError(f"Refused ({refusal.code}): {refusal}") from None
            raise CommandError(f"Not delivered ({refusal}): is manage.py receive_mail running?") from None
        self.stdout.write("Delivered.")


def _address(message: EmailMessage, name: str) -> str:
    found = [address for _, address in getaddresses([str(message.get(name, ""))]) if address]
    if not found:
        raise CommandError(f"This message has no {name}.")
    return found[0]


def _answer(ours: EmailMessage, text: str) -> EmailMessage:
    """Write what a mail program would: the words above, the message answered below."""
    answer = EmailMessage()
    answer["From"], answer["To"] = _address(ours, "To"), _address(ours, "Reply-To")
    answer["Subject"] = f"Re: {ours.get('Subject', '')}"
    answer["Message-ID"] = make_msgid(domain="essai.example")
    answer["In-Reply-To"] = str(ours.get("Message-ID", ""))
    body = ours.get_body(("plain",))
    quoted = "".join(f"> {line}\n" for line in str(body.get_content()).splitlines()) if body else ""
    answer.set_content(f"{text}\n\nLe lundi 23 novembre 2026 à 10:00, La Suite territoriale a écrit :\n{quoted}")
    return answer
