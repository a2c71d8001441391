"""Causeway's SDK: plain flytekit plus the few things it lacks for artifacts.

from flytekit import Artifact, LaunchPlan
from causeway import ModelCard, OnArtifact
"""

from __future__ import annotations

from flytekit.core.artifact import Artifact, Inputs

from causeway.cards import DataCard, ModelCard
from causeway.triggers import OnArtifact

__all__ = ["Artifact", "DataCard", "Inputs", "ModelCard", "OnArtifact"]
