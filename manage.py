#!/usr/bin/env python
"""Run a management command of the demo project."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Fall back to the development settings, then hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.dev")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
