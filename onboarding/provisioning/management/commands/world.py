"""Print the local world."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from onboarding.provisioning.backends.world import listing


class Command(BaseCommand):
    """`manage.py world`: what exists outside the product's own tables, for checks from outside."""

    help = "Print the state of the local backends as JSON: what exists, and all that was ever created."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(json.dumps(listing(), ensure_ascii=False, indent=2))
