from __future__ import annotations

from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    name = "scheduler"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # What follows from happenings is said by these.
        import artifacts.governance.following  # noqa: F401
        import scheduler.contests.champion  # noqa: F401
        import scheduler.contests.shadows  # noqa: F401
        import scheduler.notifications.outbox  # noqa: F401
        import scheduler.triggers.consequences  # noqa: F401
        from artifacts.governance import reviewing
        from scheduler import signals
        from scheduler.approving.review import review_of_version

        reviewing.install(lambda version: review_of_version(version).digest)
        signals.connect()
