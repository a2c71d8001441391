"""The parts of the embedded set-up that need no running servers."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from flytekit.configuration import Config

from console.supervisor import postgres, watching
from console.supervisor.fingerprint import is_prepared, note_prepared
from console.supervisor.leftovers import began_at, running, stop_leftovers
from console.supervisor.paths import LONGEST_SOCKET_PATH, Home
from console.supervisor.processes import EARLY, FORK, LAUNCH, ROOT, configuration
from console.supervisor.stack import Stack
from console.supervisor.warm import Options, wait_until_prepared, word
from tests.stack import options


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make_directories()
    return home


@pytest.fixture
def sleeper(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like the web process of this data directory."""
    env = {**os.environ, "CAUSEWAY_HOME": str(home.root), "CAUSEWAY_PROCESS": "web"}
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], env=env, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    (home.run / "web.pid").write_text(f"{process.pid}\n")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_it_keeps_a_new_data_directory_private(home: Home) -> None:
    passing = 0o011 if os.geteuid() == 0 else 0  # the database's server, which is another user then, gets to its own
    assert home.root.stat().st_mode & 0o777 == 0o700 | passing
    assert home.logs.stat().st_mode & 0o777 == 0o700


def test_it_stops_what_an_interrupted_run_left(home: Home, sleeper: subprocess.Popen[bytes]) -> None:
    assert list(running(home)) == ["web"]
    assert stop_leftovers(home) == ["web"]
    assert sleeper.poll() is not None
    assert not list(home.run.glob("*.pid"))


def test_it_leaves_a_process_alone_that_only_has_the_same_pid(
    home: Home, tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (home.run / "web.pid").rename(home.run / "rpc.pid")
    assert stop_leftovers(home) == []
    other = Home(tmp_path / "other")
    other.make_directories()
    (other.run / "web.pid").write_text(f"{sleeper.pid}\n")
    assert stop_leftovers(other) == []
    assert sleeper.poll() is None


def test_a_fork_of_the_supervisor_is_known_by_when_it_began(home: Home, sleeper: subprocess.Popen[bytes]) -> None:
    note = home.run / "rpc.pid"  # it does not say in its environment that it is rpc
    note.write_text(f"{sleeper.pid} {began_at(sleeper.pid)}\n")
    assert running(home)["rpc"].pid == sleeper.pid
    note.write_text(f"{sleeper.pid} {began_at(os.getpid())}\n")
    assert "rpc" not in running(home), "another process had that number"


def test_it_finds_short_socket_paths_for_a_long_home(tmp_path: Path) -> None:
    long = Home(tmp_path / ("d" * 60) / ("e" * 60))
    long.make_directories()
    for socket in (long.valkey_socket, long.supervisor_socket, long.postgres_sockets / ".s.PGSQL.5432"):
        assert len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert long.postgres.parent == long.root


def test_the_supervisor_s_socket_leaves_room_for_what_it_adds_first() -> None:
    for length in range(50, 110):
        assert len(f"{Home(Path('/' + 'd' * length)).supervisor_socket}.4194304") <= 103


def test_it_configures_every_process(home: Home) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(configuration(options(home.root)))
    groups = {section: parser[section]["programs"].split(",") for section in parser if section.startswith("group:")}
    assert groups == {
        "group:core": ["postgres", "valkey"],
        "group:app": ["web", "rpc", "worker-1", "worker-2", "slow", "executor"],
    }
    for name in [name for names in groups.values() for name in names]:
        assert parser[f"program:{name}"]["autorestart"] == "true"
        assert parser[f"program:{name}"]["startsecs"] == "0"  # never gives up


def test_each_cluster_has_an_executor_of_its_own(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "clusters.yaml"
    file.write_text("[{name: gpu-1}, {name: cpu-1}]")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(configuration(options(home.root, CAUSEWAY_CLUSTERS=str(file))))
    assert parser["group:app"]["programs"].endswith("executor,executor-gpu-1,executor-cpu-1")
    assert "--kind kubernetes --cluster gpu-1" in parser["program:executor-gpu-1"]["command"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each is started by itself")
def test_the_executor_is_no_fork_of_what_has_the_settings_of_others(home: Home) -> None:
    assert _forked(home) == {"web": FORK, "rpc": FORK, "worker-1": FORK, "slow": FORK, "executor": EARLY, "valkey": ""}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each is started by itself")
def test_with_another_s_database_the_executor_is_no_fork_at_all(home: Home) -> None:
    assert _forked(home, postgres=False)["executor"] == ""


def _forked(home: Home, *, postgres: bool = True) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(configuration(replace(options(home.root), postgres=postgres)))
    names = ("web", "rpc", "worker-1", "slow", "executor", "valkey")
    return {name: word(shlex.split(parser[f"program:{name}"]["command"])) for name in names}


def test_the_executor_is_launched_as_a_program_once_there_are_settings_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        "console.supervisor.warm.ServerOptions.execve", lambda self, file, argv, env: told.append((file, argv))
    )
    Options().execve("python", ["python", EARLY, "manage", "executor"], {})  # here the settings are imported
    assert told == [("/bin/sh", ["/bin/sh", str(LAUNCH), sys.executable, "-m", "manage", "executor"])]


PLAIN = """
import sys
from console.supervisor.warm import PLAIN, knows_settings, plain
plain()
from django.conf import settings
assert not settings.configured and not knows_settings()
assert not [name for name in PLAIN if name not in sys.modules]
threads = open("/proc/self/status").read().split("Threads:")[1].split()[0]
assert threads == "1", threads
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each is started by itself")
def test_what_is_imported_before_an_early_fork_knows_no_settings(home: Home) -> None:
    env = {**os.environ, "CAUSEWAY_HOME": str(home.root), "DJANGO_SETTINGS_MODULE": "console.settings"}
    done = subprocess.run([sys.executable, "-c", PLAIN], env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_an_early_fork_waits_for_the_tables(home: Home) -> None:
    home.unprepared.touch()
    waiting = Thread(target=wait_until_prepared, args=({"CAUSEWAY_HOME": str(home.root)},), daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    home.unprepared.unlink()
    waiting.join(5)
    assert not waiting.is_alive()


WARMED = """
import threading, sys
from console.supervisor.warm import MODULES, UNASKED, warm
warm()
from django.db import connections
assert not [name for name in UNASKED if name in sys.modules]
import requests, rest_framework.views
assert requests.get
assert threading.active_count() == 1, threading.enumerate()
assert all(one.connection is None for one in connections.all(initialized_only=True))
assert not [name for name in MODULES if name not in sys.modules]
threads = open("/proc/self/status").read().split("Threads:")[1].split()[0]
assert threads == "1", threads
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each is started by itself")
def test_what_is_imported_before_a_fork_starts_no_thread_and_opens_no_connection(home: Home) -> None:
    env = {**os.environ, "CAUSEWAY_HOME": str(home.root), "DJANGO_SETTINGS_MODULE": "console.settings"}
    done = subprocess.run([sys.executable, "-c", WARMED], env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("auth", ["open", "token"])
def test_it_tells_flytekit_where_everything_is(home: Home, auth: str) -> None:
    made = Stack(replace(options(home.root), environment={"CAUSEWAY_GRPC_AUTH": auth}))
    home.flyte_config.write_text(made.flyte_config())
    home.admin_token.write_text("s3cret")
    platform = Config.auto(str(home.flyte_config)).platform
    assert (platform.endpoint, platform.insecure) == (made.grpc_endpoint, True)
    assert platform.console_endpoint == made.http_url
    assert platform.command == (["cat", str(home.admin_token)] if auth == "token" else None)


def test_it_prepares_again_when_the_settings_change(home: Home) -> None:
    one = options(home.root)
    assert not is_prepared(one)
    note_prepared(one)
    assert not is_prepared(one), "there is no admin token yet"
    home.admin_token.touch()
    assert is_prepared(one)
    assert not is_prepared(options(home.root, CAUSEWAY_GRPC_AUTH="open"))


def test_it_forgets_a_pid_file_whose_process_is_no_postgres(home: Home) -> None:
    home.postgres.mkdir()
    file = home.postgres / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n{home.postgres}\n")
    postgres.forget_dead_server(file)
    assert not file.exists()
    postgres.forget_dead_server(file)


def test_it_forgets_a_pid_file_that_a_killed_server_left_empty(home: Home) -> None:
    home.postgres.mkdir()
    file = home.postgres / "postmaster.pid"
    file.touch()
    postgres.forget_dead_server(file)
    assert not file.exists()


def test_a_connector_service_is_started_with_what_tasks_have_and_no_more(home: Home) -> None:
    made = replace(options(home.root, connectors=sys.executable), environment={"CAUSEWAY_GRPC_AUTH": "token"})
    assert made.connector is not None
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(configuration(made))
    assert "connector" in parser["group:app"]["programs"].split(",")
    section = parser["program:connector"]
    assert made.connector.address in section["command"] and made.connector.address.startswith("127.0.0.1:")
    for name in ("DATABASE_URL", "CAUSEWAY_EXECUTOR_DATABASE_URL", "CAUSEWAY_SECRET_KEY"):
        assert f'{name}=""' in section["environment"]
    assert (
        options(home.root, connectors=sys.executable, CAUSEWAY_CONNECTORS="a=b:1")
        .environment["CAUSEWAY_CONNECTORS"]
        .startswith("a=b:1,here=127.0.0.1:")
    )


def test_a_log_that_grew_too_long_has_one_predecessor(home: Home) -> None:
    for text in ("the first", "the second"):
        (home.logs / "web.log").write_text(text)
        watching.trim_logs(str(home.logs), limit=5)
    assert (home.logs / "web.log").read_text() == ""
    assert (home.logs / "web.log.1").read_text() == "the second"
    (home.logs / "web.log").write_text("short")
    watching.trim_logs(str(home.logs), limit=5)
    assert (home.logs / "web.log").read_text() == "short"


def test_a_log_that_cannot_be_shortened_ends_nothing(home: Home) -> None:
    (home.logs / "rpc.log").write_text("the first")
    (home.logs / "rpc.log.1").mkdir()
    watching.trim_logs(str(home.logs), limit=5)
    assert (home.logs / "rpc.log").read_text() == "the first"
    watching.trim_logs(str(home.root / "nowhere"), limit=5)


def test_what_stays_of_script_up_imports_little(home: Home) -> None:
    program = f"import sys; exec(open({watching.__file__!r}).read(), {{'__name__': ''}}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"console", "subprocess", "dataclasses", "pathlib", "json"}
