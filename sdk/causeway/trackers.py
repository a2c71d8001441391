"""Experiment trackers: their runs and registered models become versions, and versions are registered with them.

`Tracker` is the whole of what one has to be able to do. MLflow is one (causeway.mlflow); another is a class with these
three methods.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from causeway.client import Client
from causeway.http import CausewayError
from causeway.version import Version

MAX_TEXT = 1000  # characters of one parameter or tag that are taken over
ALREADY = 409


@dataclass(frozen=True)
class Tracked:
    """A finished run or a registered model of a tracker, as it becomes a version."""

    artifact: str
    version: str  # made of the tracker's own id: the same again is the same version
    uri: str  # where its data lies
    kind: str  # model or other
    metrics: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    producer: str = ""


def without_password(address: str) -> str:
    """`ftp://user:password@host/path` without the password, for whoever may read an artifact reads its address."""
    return re.sub(r"^([a-zA-Z][\w+.-]*://[^/@:]*):[^/@]*@", r"\1@", address)


class Tracker(Protocol):
    def models(self, name: str) -> Iterator[Tracked]:
        """The versions of a registered model, the oldest first. CausewayError where there is no such model."""

    def runs(self, experiment: str) -> Iterator[Tracked]:
        """The finished runs of an experiment, the oldest first. CausewayError where there is no such experiment."""

    def register(self, name: str, version: Version) -> str:
        """Register a version under a model's name; how the tracker calls it. The same again finds the first."""


def publish(client: Client, found: Iterator[Tracked], *, artifact: str = "") -> Iterator[Version]:
    """Publish what a tracker has, each once: what was published before is passed by.

    :param artifact: another name than the tracker's
    """
    for one in found:
        name = artifact or one.artifact
        try:
            version = client.create(
                name,
                external_ref=one.uri,
                shape="directory",
                version=one.version,
                kind=one.kind,
                metrics={key: value for key, value in one.metrics.items() if math.isfinite(value)},
                metadata={key: value[:MAX_TEXT] for key, value in one.metadata.items()},
                description=one.description,
                producer=one.producer,
            )
        except CausewayError as error:
            if error.status != ALREADY:
                raise
            continue  # the webhook was first, or its data was moved: what is published does not change
        yield version
