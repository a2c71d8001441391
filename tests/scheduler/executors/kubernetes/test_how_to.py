"""What docs/howto/kubernetes.md shows is understood: its files, its commands, and the names in its tables.

The pods themselves run in tests/cluster.
"""

from __future__ import annotations

import importlib
import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest
import yaml
from causeway.cli import main
from flyteidl.core import tasks_pb2
from flytekit.configuration import Image, ImageConfig, SerializationSettings

from console.supervisor.up import parse
from scheduler.executors.kubernetes.cluster import Cluster, load
from scheduler.executors.kubernetes.jobs.registry import RESOURCES
from scheduler.executors.kubernetes.rights import OF_QUEUES, RIGHTS, of_jobs

PAGE = (Path(__file__).parents[4] / "docs/howto/kubernetes.md").read_text()
FILES = dict(re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)


def test_its_clusters_are_understood(tmp_path: Path) -> None:
    (path := tmp_path / "clusters.yaml").write_text(FILES["clusters.yaml"])
    (cluster,) = load(str(path))
    assert (cluster.name, cluster.labels) == ("gpu-1", ("gpu",))
    assert cluster.namespace_of("demo", "development") == "demo-development"


def test_its_table_names_settings_that_there_are() -> None:
    table = PAGE.partition("| setting | Flyte's")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z_]+)[`.]", row.split("|")[1])}
    assert named and named <= {one.name for one in fields(Cluster)}


def test_its_role_gives_the_rights_that_are_asked_for_and_no_others() -> None:
    role = yaml.safe_load(FILES["role.yaml"])
    given = {(verb, name) for rule in role["rules"] for name in rule["resources"] for verb in rule["verbs"]}
    leases = {(verb, "leases") for verb in ("get", "create", "update")}
    jobs = {right for one in RESOURCES for right in of_jobs(one)}
    assert given == {(right.verb, right.resource) for right in (*RIGHTS, OF_QUEUES, *jobs)} | leases


def test_its_program_asks_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flow.py").write_text(FILES["flow.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    flow = importlib.import_module("flow")
    settings = SerializationSettings(ImageConfig(Image("base", "registry.example/team/base", "1")))
    asked = flow.train.get_container(settings).to_flyte_idl().resources.requests
    assert (tasks_pb2.Resources.GPU, "1") in [(each.name, each.value) for each in asked]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("causeway ")])
def test_its_commands_have_the_options_that_it_shows(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("gpu.kubeconfig", "gpu.yaml"):
        (tmp_path / name).write_text("{}")
    _, *words = shlex.split(command, comments=True)
    found: click.Command = main
    while isinstance(found, click.Group):
        found = found.commands[words.pop(0)]
    found.make_context(found.name, words, obj=None)


def test_it_is_started_as_it_shows(tmp_path: Path) -> None:
    (command,) = [one for one in COMMANDS if one.startswith("script/up ")]
    (path := tmp_path / "config").touch()
    options, _, _ = parse(shlex.split(command.replace("~/.kube/config", str(path)))[1:])
    assert options.environment["CAUSEWAY_KUBECONFIG"] == str(path)
    assert options.environment["CAUSEWAY_CLUSTER_IMAGE"] == "registry.example/team/base:1"
