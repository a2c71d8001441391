"""An execution that nobody has looked at yet: what it does is known without asking, as launching asks at once."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import doing
from scheduler.doing import State
from scheduler.phases import ExecutionPhase
from tests.scheduler.attempts import make_node


@pytest.mark.django_db
def test_it_is_queued_without_a_question(django_assert_num_queries: Any) -> None:
    fresh = make_node().execution
    fresh.phase = ExecutionPhase.UNDEFINED
    with django_assert_num_queries(0):
        found = doing.of_executions([fresh])
    assert found[fresh.pk].state is State.QUEUED
    assert found[fresh.pk].since == fresh.created_at


@pytest.mark.django_db
def test_others_beside_it_are_looked_at() -> None:
    fresh, begun = make_node().execution, make_node().execution
    fresh.phase, begun.phase = ExecutionPhase.UNDEFINED, ExecutionPhase.RUNNING
    assert set(doing.of_executions([fresh, begun])) == {fresh.pk, begun.pk}
