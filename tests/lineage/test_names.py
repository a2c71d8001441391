from __future__ import annotations

import pytest

from artifacts.models import Artifact
from lineage.names import name_graph, stale_versions
from tests.lineage.test_lineage import make

pytestmark = pytest.mark.django_db


def test_it_draws_the_whole_meta_workflow_from_any_of_its_artifacts() -> None:
    raw = make("raw", "e1")
    for n in range(3):
        clean = make("clean", f"c{n}", of=[raw])
        model = make("model", f"m{n}", of=[clean])
    make("unrelated", "u1")
    for start in (raw, clean, model):
        graph = name_graph(start.artifact)
        assert [one.name for one in graph.artifacts] == ["clean", "model", "raw"]
        steps = {(step.source.name, step.target.name, step.producer): step.versions for step in graph.steps}
        assert steps == {("raw", "clean", "task:produce"): 3, ("clean", "model", "task:produce"): 3}
        assert not graph.truncated
    assert name_graph(raw.artifact, limit=2).truncated


def test_an_artifact_may_be_made_of_itself() -> None:
    first = make("prime", "e1")
    make("prime", "e2", of=[first])
    (step,) = name_graph(first.artifact).steps
    assert (step.source, step.target, step.versions) == (first.artifact, first.artifact, 1)
    assert stale_versions([first.artifact]) == []


def test_it_lists_stale_newest_versions_with_their_reason() -> None:
    raw = make("raw", "e1")
    make("model", "m0", of=[raw])
    model = make("model", "m1", of=[raw], minute=1)
    assert stale_versions(Artifact.objects.all()) == []
    newer = make("raw", "e2", minute=2)
    assert stale_versions(Artifact.objects.all()) == [(model, raw, newer)]
    make("model", "m2", of=[newer], minute=3)
    assert stale_versions(Artifact.objects.all()) == []
