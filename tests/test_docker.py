"""The container set-up agrees with the code, as far as that shows without a Docker engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from console.supervisor.processes import apps
from tests.stack import options

DOCKER = Path(__file__).resolve().parent.parent / "docker"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert isinstance(parsed, dict)
    return parsed


def test_it_has_a_service_for_every_process_of_the_embedded_set_up(compose: dict[str, Any], tmp_path: Path) -> None:
    names = {re.sub(r"-\d+$", "", process.name) for process in apps(options(tmp_path))}
    assert names | {"beat", "prepare", "postgres", "valkey", "objects"} == set(compose["services"])


def test_it_runs_commands_that_exist(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        words = " ".join(service.get("command", []))
        for command in re.findall(r"manage\.py (\w+)", words):
            assert command in get_commands(), name
        for script in re.findall(r"docker/\w+\.py", words):
            assert (DOCKER.parent / script).exists()


def test_it_waits_for_services_that_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        named = [volume.split(":")[0] for volume in service.get("volumes", [])]
        assert set(named) <= set(compose["volumes"])


def test_it_names_every_variable_it_needs_in_the_example(compose: dict[str, Any]) -> None:
    needed = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (DOCKER / "env.example").read_text(), flags=re.MULTILINE))
    assert needed == offered


def test_it_is_safe_on_a_network(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    assert environment["CAUSEWAY_GRPC_AUTH"] == "token"
    assert "CAUSEWAY_DEBUG" not in environment
    assert "*" not in environment["CAUSEWAY_ALLOWED_HOSTS"]
