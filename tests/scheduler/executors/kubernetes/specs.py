"""Attempts for tests of what becomes of them on a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scheduler.attempts.spec import Addresses, AttemptSpec, Identity
from scheduler.executors.kubernetes.build import Built, build
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.containers import Surroundings

IDENTITY = Identity(
    name="f1-12-n0-0",
    project="flights",
    domain="development",
    execution="f1",
    node="n0",
    user="ada",
    task="flights.train",
)


def spec(**over: Any) -> AttemptSpec:
    given: dict[str, Any] = {
        "identity": IDENTITY,
        "task_type": "python-task",
        "image": "team/job:1",
        "argv": ("pyflyte-execute", "--inputs", "s3://b/i.pb"),
        "env": {"A": "1"},
        "addresses": Addresses(inputs="s3://b/i.pb", output_prefix="s3://b/o", raw_output_prefix="s3://b/r"),
    }
    return AttemptSpec(**{**given, **over})


def around(**over: Any) -> Surroundings:
    given: dict[str, Any] = {"namespace": "flights-development", "owner": "me", "attempt_id": 7}
    return Surroundings(**{**given, **over})


def built(cluster: Cluster | None = None, place: Surroundings | None = None, **over: Any) -> Built:
    return build(spec(**over), cluster or Cluster(), place or around())


def main_of(made: Built) -> dict[str, Any]:
    return next(one for one in made.pod["spec"]["containers"] if one["name"] == made.primary)


def named(name: str) -> Identity:
    return replace(IDENTITY, name=name)
