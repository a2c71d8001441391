"""A real Feast repository: a version is its offline source, a launch plan materialises, a training set is a version.

What runs is what docs/howto/feast.md shows.

A lab, as in tests/e2e/test_open_doors.py: `CAUSEWAY_LABS=feast`. The launch plan's task runs in the lab's environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from string import Template

import pytest

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.e2e.test_docs import BLOCK, ROOT
from tests.e2e.test_open_doors import SDK, Lab, lab, made_environment, of  # noqa: F401 - fixtures
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e
PAGE = ROOT / "docs/howto/feast.md"
SHOWN = {file: text for _, file, text in BLOCK.findall(PAGE.read_text())}


@pytest.fixture(scope="module")
def watching(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A set-up of its own in place of the labs' common one: its tasks run beside Feast."""
    commands = made_environment("feast", request)
    (packages,) = commands.parent.glob("lib/python*/site-packages")
    (packages / "causeway.pth").write_text(SDK)
    folder = tmp_path_factory.mktemp("feast")
    python = f"ghcr.io/isles/feast={commands / 'python'}"
    with running_stack(folder / "home", CAUSEWAY_ENVIRONMENTS=python) as running:
        user = FlytekitUser(running, folder / "programs", commands=commands)
        (folder / "programs/features").mkdir()
        (folder / "programs/features/__init__.py").touch()
        (folder / "programs/features/flows.py").write_text(SHOWN["flows.py"])
        said = user.pyflyte(
            *("register", "-p", PROJECT, "-d", DOMAIN, "--image", "ghcr.io/isles/feast:v1"),
            *("--version", "v1", "--copy", "all", "features"),
        )
        assert "Successfully registered" in said
        yield running


@of("feast")
def test_a_feature_store_lives_from_versions(lab: Lab) -> None:  # noqa: F811 - the fixture
    repository = lab.folder / "features"
    repository.mkdir(parents=True)
    settings = Template(SHOWN["feature_store.yaml"]).substitute(lab.environment)  # which the task does not have
    (repository / "feature_store.yaml").write_text(settings)
    place = {"CAUSEWAY_PROJECT": PROJECT, "CAUSEWAY_DOMAIN": DOMAIN, "FEAST_USAGE": "False"}
    lab.run("python", "-c", SHOWN["prepare.py"], str(repository), cwd=None, **place)
    source = lab.client.get("driver-stats")
    for path in [lab.folder, *repository.rglob("*"), repository]:  # the task is another user of this machine
        path.chmod(0o777 if path.is_dir() else 0o666)

    ended = lab.client.launch("features.keep", {"statistics": source, "repository": str(repository)}, wait=120)
    assert ended["phase"] == "SUCCEEDED", ended
    outputs = lab.client.connection.call("GET", f"executions/{PROJECT}/{DOMAIN}/{ended['name']}/outputs")
    assert outputs == {"o0": 2}, "of driver 7 the newest"

    made = json.loads(lab.run("python", "-c", SHOWN["train.py"], str(repository), cwd=None, **place))
    assert made["rides"] == [1, 2, 3], "what was so at each trip's time"
    (before,) = lab.client.lineage.trained_on(made["id"])
    assert before["id"] == source.id
    jobs = {one["name"]: one["id"] for one in lab.client.connection.pages("lineage/jobs", project=PROJECT)}
    assert {"materialize_shop", "training_set_trips-training"} <= jobs.keys(), "Feast's own events, and ours"
    (run,) = lab.client.connection.pages("lineage/runs", job=jobs["training_set_trips-training"])
    uses = lab.client.connection.call("GET", f"lineage/runs/{run['id']}")["uses"]
    assert {(one["role"], one["dataset"]["name"]) for one in uses} == {
        ("input", "driver_stats"),
        ("input", "driver-stats"),
        ("output", "trips-training"),
    }
