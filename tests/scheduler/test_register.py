from __future__ import annotations

import pytest

from scheduler.models import LaunchPlan, NamedEntity, Task, Workflow
from tests.flyte import register_all
from tests.scheduler import programs

pytestmark = pytest.mark.django_db


def test_it_registers_whole_programs() -> None:
    register_all(programs.everything, programs.spread, programs.training, programs.fixed_plan)
    assert {"everything", "inner", "training"} <= {row.name.rsplit(".")[-1] for row in Workflow.objects.all()}
    assert LaunchPlan.objects.filter(name="fixed_plan", state=0).exists()
    assert NamedEntity.objects.count() == Task.objects.count() + Workflow.objects.count() + LaunchPlan.objects.count()
