"""Makes the connectors' executor of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from artifacts.store import store
from scheduler.executors.connectors import records
from scheduler.executors.connectors.connectors import all_connectors, of_settings
from scheduler.executors.connectors.executor import ConnectorsExecutor, Setting
from scheduler.executors.descriptions import BadDescription
from scheduler.executors.registry import BadSetup, Setup


def make(setup: Setup) -> ConnectorsExecutor:
    """Raises BadSetup."""
    try:
        of_settings()
    except BadDescription as error:
        raise BadSetup(str(error)) from None
    return ConnectorsExecutor(
        store(),
        records.Records(),
        records.in_thread(all_connectors),
        _Notes(),
        Setting(task_seconds=settings.CAUSEWAY_TASK_TIMEOUT, max_deck_bytes=settings.CAUSEWAY_MAX_DECK_BYTES),
    )


class _Notes:
    """scheduler.executors.connectors.directory.Notes, in the database."""

    def catalogues(self) -> Mapping[str, list[dict[str, Any]]]:
        return records.catalogues()

    def heard(self, name: str, endpoint: str, types: list[dict[str, Any]], at: datetime) -> None:
        records.heard(name, endpoint, types, at)

    def silent(self, name: str, endpoint: str, problem: str, at: datetime) -> None:
        records.silent(name, endpoint, problem, at)
