from __future__ import annotations

from django.apps import AppConfig

from artifacts import lookups, prepared


class ArtifactsConfig(AppConfig):
    name = "artifacts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        lookups.register()
        prepared.connect()
