"""What is set by a description, at run time or in the settings of the installation: clusters and connectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import yaml

from artifacts.exceptions import FailedPrecondition, NotFound
from scheduler.models import ClusterSettings, ConnectorSettings

Row = TypeVar("Row", ClusterSettings, ConnectorSettings)


@dataclass(frozen=True)
class Described(Generic[Row]):
    """One of them as people see it. `row` None: it stands in the settings, and is changed there.

    `noun`: what it is called; `settings`: where those stand that are not rows.
    """

    noun: ClassVar[str]
    settings: ClassVar[str] = "settings"

    name: str
    description: Mapping[str, Any]  # without the name
    row: Row | None

    @property
    def source(self) -> str:
        return self.settings if self.row is None else "database"

    @property
    def editable(self) -> bool:
        return self.row is not None

    def changeable(self) -> Row:
        """Its row. FailedPrecondition for one of the settings."""
        if self.row is None:
            raise FailedPrecondition(
                f"{self.noun} {self.name} is set in the {self.settings} of this installation: change it there"
            )
        return self.row

    @property
    def updated_by(self) -> str:
        return self.row.updated_by if self.row else ""

    @property
    def updated_at(self) -> datetime | None:
        return self.row.updated_at if self.row else None

    @property
    def yaml(self) -> str:
        return yaml.safe_dump(dict(self.description), sort_keys=False) if self.description else ""


One = TypeVar("One", bound=Described[Any])


def named(kind: type[One], found: Iterable[One], name: str) -> One:
    """NotFound where none of them is called so."""
    for one in found:
        if one.name == name:
            return one
    raise NotFound(f"no {kind.noun} {name}")
