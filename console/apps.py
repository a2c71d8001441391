from __future__ import annotations

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register themselves. The application of Celery is imported by what uses it (WAKE_APPLICATION): most
        # programs start without.
        from console import checks  # noqa: F401
