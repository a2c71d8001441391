"""The names of `unionai.artifacts`, so that moving a program to Causeway changes its import line and nothing else."""

from __future__ import annotations

from flytekit.core.artifact import Artifact, Inputs

from causeway.cards import Card, DataCard, ModelCard
from causeway.triggers import OnArtifact

__all__ = ["Artifact", "Card", "DataCard", "Inputs", "ModelCard", "OnArtifact"]
