"""What is set by a description, at run time or in the settings of the installation: clusters and connectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import yaml

from scheduler.models import ClusterSettings, ConnectorSettings

Row = TypeVar("Row", ClusterSettings, ConnectorSettings)


@dataclass(frozen=True)
class Described(Generic[Row]):
    """One of them as people see it. `row` None: it stands in the settings, and is changed there."""

    name: str
    description: Mapping[str, Any]  # without the name
    row: Row | None

    @property
    def editable(self) -> bool:
        return self.row is not None

    @property
    def updated_by(self) -> str:
        return self.row.updated_by if self.row else ""

    @property
    def updated_at(self) -> datetime | None:
        return self.row.updated_at if self.row else None

    @property
    def yaml(self) -> str:
        return yaml.safe_dump(dict(self.description), sort_keys=False) if self.description else ""
