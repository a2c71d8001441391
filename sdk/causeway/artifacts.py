"""The names of `unionai.artifacts`, so that moving a program to Causeway changes its import line and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import Artifact as FlytekitArtifact
from flytekit.core.artifact import ArtifactQuery, Inputs, Partitions, TimePartition

from causeway.cards import Card, DataCard, ModelCard
from causeway.client import Client, Version
from causeway.queries import Moment, asking, start_of
from causeway.triggers import AllOf, AnyOf, OnAlias, OnArtifact

__all__ = ["AllOf", "AnyOf", "Artifact", "Card", "DataCard", "Inputs", "ModelCard", "OnAlias", "OnArtifact", "start_of"]


class Artifact(FlytekitArtifact):  # type: ignore[misc]
    """flytekit's `Artifact`, whose queries can ask for more, and which can be published and read from outside:
    `Artifact.create("threshold", 0.8)`, `Artifact.get("threshold").value`.
    """

    def __init__(self, *args: Any, mounted: bool = False, **options: Any) -> None:
        """:param mounted: tasks that take its files in share one read-only copy a machine (causeway.mounting)"""
        super().__init__(*args, **options)
        self.mounted = mounted

    def query(
        self,
        project: str | None = None,
        domain: str | None = None,
        time_partition: datetime | TimePartition | artifact_id_pb2.InputBindingData | None = None,
        partitions: dict[str, str] | Partitions | None = None,
        *,
        alias: str = "",
        version: str = "",
        time_from: Moment | None = None,
        time_before: Moment | None = None,
        created_before: Moment | None = None,
        checks: str = "",
        quarantined: bool = False,
        **keys: Any,
    ) -> ArtifactQuery:
        """flytekit's `query` of the newest version that fits, which here can also ask for more.

        :param alias: what bears it now, if it fits
        :param version: exactly this one
        :param time_from: time partitions at or after, `time_before` before: a datetime or an input (`Inputs.at`)
        :param created_before: the newest as of then: a datetime or an input
        :param checks: "passed": only versions that no check blocks
        :param quarantined: versions in quarantine too, which queries otherwise pass over
        :param keys: partition values; a key called like one of the above is a partition
        """
        more: dict[str, Any] = {
            "alias": alias,
            "version": version,
            "time_from": time_from,
            "time_before": time_before,
            "created_before": created_before,
            "checks": checks,
            "quarantined": quarantined,
        }
        mine = {name: value for name, value in more.items() if name in (self.partition_keys or []) and value}
        query = super().query(project, domain, time_partition, partitions, **keys, **mine)
        return asking(query, **{name: value for name, value in more.items() if name not in mine})

    @classmethod
    def create(cls, name: str, value: Any = None, *, client: Client | None = None, **options: Any) -> Version:
        """Publish a version from a script, a notebook or CI.

        :param name: of the artifact
        :param value: what `Client.create` takes, as it takes the options: file, directory, frame, model, external_ref,
            version, partitions, time_partition, card, metadata, metrics ...
        :param client: default: one for the address and token in the environment
        """
        return (client or Client()).create(name, value, **options)

    @classmethod
    def get(cls, name: str, *, client: Client | None = None, **query: Any) -> Version:
        """The newest version that fits, from anywhere: `Artifact.get("ml-model:champion").pull()`.

        :param name: of the artifact, `name@version`, `name:alias`, or a `flyte://` address
        :param query: what `Client.get` takes: version, alias, partitions, time_partition, created_before ...
        :param client: default: one for the address and token in the environment
        """
        return (client or Client()).get(name, **query)
