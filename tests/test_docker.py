"""The container set-up agrees with the code, as far as that shows without a Docker engine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from django.core.management import get_commands

from console.supervisor import roles
from console.supervisor.backup import server
from console.supervisor.paths import Home
from console.supervisor.postgres import binaries
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
        files = {name for name in named if name.startswith(".")}
        assert all((DOCKER / file).is_file() for file in files)
        assert set(named) - files <= set(compose["volumes"])


def test_it_names_every_variable_it_needs_in_the_example(compose: dict[str, Any]) -> None:
    needed = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (DOCKER / "env.example").read_text(), flags=re.MULTILINE))
    assert needed == offered


def test_it_is_safe_on_a_network(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    assert environment["CAUSEWAY_GRPC_AUTH"] == "token"
    assert "CAUSEWAY_DEBUG" not in environment
    assert "*" not in environment["CAUSEWAY_ALLOWED_HOSTS"]


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    """YAML's `<<` is merged by the loader already."""
    found: dict[str, str] = service.get("environment", {})
    return found


def test_its_processes_are_no_superusers_and_the_executor_is_a_role_of_its_own(compose: dict[str, Any]) -> None:
    users = {
        name: environment_of(service)["DATABASE_URL"].removeprefix("postgresql://").split(":")[0]
        for name, service in compose["services"].items()
        if "DATABASE_URL" in environment_of(service)
    }
    assert users.pop("executor") == roles.EXECUTOR
    assert set(users.values()) == {roles.APPLICATION}
    assert "POSTGRES_USER" not in compose["services"]["postgres"]["environment"]  # he would be the superuser
    assert f"grant_executor {roles.EXECUTOR}" in " ".join(compose["services"]["prepare"]["command"])


def test_the_executor_holds_nothing_that_opens_more_than_it_may(compose: dict[str, Any]) -> None:
    executor = compose["services"]["executor"]
    assert not {volume.split(":")[0] for volume in executor["volumes"]} & {"home", "postgres"}
    told = " ".join(str(value) for value in environment_of(executor).values())
    assert "${DATABASE_PASSWORD" not in told
    assert "POSTGRES_PASSWORD" not in told


def test_the_broker_wants_a_password(compose: dict[str, Any]) -> None:
    assert "--requirepass" in " ".join(compose["services"]["valkey"]["command"])
    assert "${VALKEY_PASSWORD" in environment_of(compose["services"]["web"])["REDIS_URL"]


def test_the_roles_are_made_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that the image runs on an empty cluster, run on one."""
    monkeypatch.delenv("DATABASE_URL")
    home = Home(tmp_path / "home")
    home.make_directories()
    passwords = {"DATABASE_PASSWORD": "of'the owner", "EXECUTOR_DATABASE_PASSWORD": "of-the-executor"}
    host = str(home.postgres_sockets)
    with server(home):
        with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as cluster:
            cluster.execute("DROP DATABASE causeway")
            cluster.execute("DROP OWNED BY causeway, causeway_executor")  # what they were granted
            cluster.execute("DROP ROLE causeway, causeway_executor")
        path = f"{binaries()}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, **passwords, "PGHOST": host, "PATH": path}
        subprocess.run(["/bin/sh", DOCKER / "roles.sh"], env=env, check=True)
        with psycopg.connect(host=host, user="causeway", password="of'the owner", dbname="causeway") as ours:
            ours.execute("CREATE TABLE made (a int)")
        own = psycopg.connect(host=host, user="causeway_executor", password="of-the-executor", dbname="causeway")
        with own, pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute("SELECT * FROM made")
