"""Publish a record in the local world, as the holder of a domain would at home."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from onboarding.provisioning.backends.local import LocalDns
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.errors import Refused

# Whoever holds the domain, seen from the product: not us.
HOLDER = "holder"


class Command(BaseCommand):
    """`manage.py local_record ma-commune.fr _suite-territoriale.ma-commune.fr TXT "st-verification=…"`."""

    help = "Publish a record of an existing domain in the local world, making its zone if need be."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("zone")
        parser.add_argument("name")
        parser.add_argument("type")
        parser.add_argument("values", nargs="+")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        zone = options["zone"].lower().rstrip(".")
        record = Record(options["name"].lower().rstrip("."), options["type"].upper(), tuple(options["values"]), ttl=60)
        if record.name != zone and not record.name.endswith(f".{zone}"):
            raise CommandError(f"{record.name} is not in {zone}.")
        try:
            dns = LocalDns()
            dns.ensure_zone(zone, owner=HOLDER)
            dns.ensure_records(zone, [record], owner=HOLDER)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{record.name} {record.type}")
