from __future__ import annotations

import pytest
from causeway import OnArtifact
from flytekit.core.artifact import Artifact as FlyteArtifact

from scheduler.authority import Authority
from scheduler.models import Execution, TriggerFiring
from scheduler.triggers.preview import preview
from tests.artifacts.publishing import publish_output
from tests.scheduler.triggers.plans import DATASET, active_plan, register_plan, two_inputs

pytestmark = pytest.mark.django_db


def test_it_tells_what_would_launch_and_why_the_others_would_not() -> None:
    fires = active_plan(OnArtifact(DATASET, inputs={"n": DATASET}), name="fires")
    other = active_plan(OnArtifact(DATASET.query(region="LAX"), inputs={"n": DATASET}), name="other")
    model = FlyteArtifact(name="ml-model")
    lacks = active_plan(OnArtifact(DATASET, inputs={"a": DATASET, "b": model}), two_inputs, name="lacks")
    idle = register_plan(OnArtifact(DATASET, inputs={"n": DATASET}), name="idle")
    version = publish_output(DATASET(region="SEA")).versions[0][1]
    found = {one.trigger.launch_plan.name: one for one in preview(version, reader=Authority("tester"), inactive=True)}
    assert found["fires"].launches and found["fires"].inputs["n"]["version"] == version.version
    assert (found["other"].launches, found["other"].reason) == (False, "watches region=LAX")
    assert found["lacks"].reason == "b: there is no artifact 'ml-model' in flytesnacks/development"
    assert (found["idle"].launches, found["idle"].reason) == (False, "the launch plan is not active")
    assert {one.trigger for one in preview(version, reader=Authority("tester"))} == {fires, other, lacks}
    assert not Execution.objects.exists() and not TriggerFiring.objects.exists() and idle.pk
