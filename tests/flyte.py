"""Real flytekit programs registered in tests: what `console.filling.registering` does, in a project of the tests."""

from __future__ import annotations

from typing import Any

from flyteidl.core import identifier_pb2

from console.filling import registering
from console.filling.registering import Spec

__all__ = ["Spec", "register_all", "register_module", "specs_of"]
PLACE = {"project": "demo", "domain": "development"}


def specs_of(entity: object, **options: Any) -> list[tuple[identifier_pb2.Identifier, Spec]]:
    return registering.specs_of(entity, **{**PLACE, **options})


def register_all(*entities: object, **options: Any) -> list[identifier_pb2.Identifier]:
    return registering.register_all(*entities, **{**PLACE, "actor": "tester", **options})


def register_module(module: object, **options: Any) -> list[identifier_pb2.Identifier]:
    return registering.register_module(module, **{**PLACE, "actor": "tester", **options})
