from __future__ import annotations

from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "scheduler"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Kinds of happenings, and what follows from them, are said by these.
        import artifacts.governance.following  # noqa: F401
        import scheduler.approving.happenings  # noqa: F401
        import scheduler.contests.champion  # noqa: F401
        import scheduler.contests.shadows  # noqa: F401
        import scheduler.levels.look  # noqa: F401
        import scheduler.triggers.consequences
        import scheduler.triggers.judging.asking  # noqa: F401
        from artifacts.governance import kinds, reviewing
        from scheduler import signals
        from scheduler.approving.review import review_of_version
        from scheduler.notifications import outbox
        from scheduler.triggers import waiters
        from scheduler.triggers.judging.declaring import PROGRAM

        kinds.add(PROGRAM)
        reviewing.install(lambda version: review_of_version(version).digest)
        outbox.install()
        waiters.install()
        signals.connect()
