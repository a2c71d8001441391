"""Versions with metrics, and what follows from their happenings done at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from flyteidl.core import literals_pb2, types_pb2

from artifacts.actions.publish import Publication, publish
from artifacts.governance.checks import Wish, set_check
from artifacts.governance.pointers import Mover
from artifacts.models import Artifact, ArtifactVersion, CheckRule
from scheduler.happenings import handle, unhandled
from tests.artifacts.publishing import START, integer

ADMIN = Mover("root", roles=("approver", "admin"))
APPROVER = Mover("bob", roles=("approver",))


def model(version: str, *, actor: str = "ada", region: str = "", **metrics: float) -> ArtifactVersion:
    """A published version of `model`; partitioned where the first of them is of a region."""
    return publish(_publication(version, metrics, {"region": region} if region else {}), actor=actor)


def _publication(
    version: str, metrics: dict[str, float], partitions: Mapping[str, str] = MappingProxyType({})
) -> Publication:
    literal: literals_pb2.Literal = integer(7)
    kind = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    return Publication(
        project="flytesnacks",
        domain="development",
        name="model",
        literal=literal,
        literal_type=kind,
        version=version,
        metrics=metrics,
        partitions=partitions,
    )


def the_artifact() -> Artifact:
    return Artifact.objects.get(name="model")


def auc_check(name: str = "good", **over: Any) -> CheckRule:
    """`auc` of `model` is at least 0.8, unless told otherwise."""
    wish = {"kind": "metric", "parameters": {"metric": "auc", "at_least": 0.8}, **over}
    return set_check(the_artifact(), Wish(name, **wish), actor="root")


def settle() -> None:
    """Do what follows from everything that happened, and from that, until nothing is left."""
    while found := unhandled(limit=1000):
        for pk in found:
            handle(pk)


def later(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)
