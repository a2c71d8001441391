"""The names of `unionai.artifacts`, so that moving a program to Causeway changes its import line and nothing else."""

from __future__ import annotations

from typing import Any

from flytekit.core.artifact import Artifact as FlytekitArtifact
from flytekit.core.artifact import Inputs

from causeway.cards import Card, DataCard, ModelCard
from causeway.client import Client, Version
from causeway.times import start_of
from causeway.triggers import AllOf, AnyOf, OnArtifact

__all__ = ["AllOf", "AnyOf", "Artifact", "Card", "DataCard", "Inputs", "ModelCard", "OnArtifact", "start_of"]


class Artifact(FlytekitArtifact):  # type: ignore[misc]
    """flytekit's `Artifact`, which can also be published from outside: `Artifact.create("threshold", 0.8)`."""

    @classmethod
    def create(cls, name: str, value: Any = None, *, client: Client | None = None, **options: Any) -> Version:
        """Publish a version from a script, a notebook or CI.

        :param name: of the artifact
        :param value: what `Client.create` takes, as it takes the options: file, directory, frame, model, external_ref,
            version, partitions, time_partition, card, metadata, metrics ...
        :param client: default: one for the address and token in the environment
        """
        return (client or Client()).create(name, value, **options)
