from __future__ import annotations

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The first registers the system checks, the second is the application that shared tasks belong to. It is not
        # imported in `console/__init__.py`, so that the supervisor's programs start without Celery.
        from console import celery, checks  # noqa: F401
