#!/usr/bin/env python
"""Django's command-line entry point."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        told = str(error).splitlines()[0]
        if "--traceback" in sys.argv or not told.startswith("connection"):  # what went wrong with one that was there
            raise
        sys.exit(f"the database does not answer ({told}); script/up starts that of a home (CAUSEWAY_HOME)")
