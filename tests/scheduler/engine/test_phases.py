from __future__ import annotations

from scheduler.engine.graph import Kind
from scheduler.engine.phases import TERMINAL, Phase
from scheduler.models import NodeKind
from scheduler.phases import NODE_TERMINAL, NodePhase


def test_it_numbers_phases_as_the_models_do() -> None:
    assert {phase.name: int(phase) for phase in Phase} == {phase.name: phase.value for phase in NodePhase}
    assert {int(phase) for phase in TERMINAL} == {phase.value for phase in NODE_TERMINAL}


def test_it_names_kinds_as_the_models_do() -> None:
    assert {kind.value for kind in Kind} == set(NodeKind.values)
