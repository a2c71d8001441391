"""Claims attempts and ends each a moment later: `python -m tests.scheduler.quotas.one_executor DATABASE NAME`."""

from __future__ import annotations

import os
import random
import sys
import threading

import django


def main(database: str, name: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from scheduler.attempts.outcomes import Outcome
    from scheduler.executors.base import Assignment
    from scheduler.executors.daemon import Daemon
    from scheduler.executors.fake import FakeExecutor
    from scheduler.phases import AttemptPhase

    def begin(assignment: Assignment) -> None:
        end = Outcome(AttemptPhase.SUCCEEDED)
        seconds = random.uniform(0.0, 0.1)  # noqa: S311
        threading.Timer(seconds, lambda: executor.finish(assignment.attempt_id, end)).start()

    executor = FakeExecutor(begin)
    Daemon(executor, name).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
