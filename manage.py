#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it starts the PostgreSQL embedded in the checkout first."""

import os
import sys

from suite import embedded


def main() -> None:
    """Run the command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite.settings")
    embedded.connect()
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings need DATABASE_URL first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
