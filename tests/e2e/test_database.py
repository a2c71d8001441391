"""In a running set-up each process is in the database what it should be, and tells nobody how."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest

from console.supervisor import roles
from console.supervisor.paths import Home
from tests.stack import RunningStack

pytestmark = pytest.mark.e2e


def test_only_the_executor_is_the_executor_and_nobody_is_the_superuser(stack: RunningStack) -> None:
    home = Home(Path(stack.home))
    with psycopg.connect(host=str(home.postgres_sockets), user=roles.SUPERUSER, dbname=roles.DATABASE) as ours:
        query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> %s"
        connected = {name for (name,) in ours.execute(query, [ours.info.backend_pid])}
        owners = {name for (name,) in ours.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")}
    assert connected == {roles.APPLICATION, roles.EXECUTOR}
    assert owners == {roles.APPLICATION}


def test_the_executor_can_write_nothing_but_its_own(stack: RunningStack) -> None:
    with psycopg.connect(roles.url(Home(Path(stack.home)), roles.EXECUTOR), autocommit=True) as executor:
        assert executor.execute("SELECT count(*) FROM scheduler_taskexecution").fetchone() is not None
        for refused in (
            "SELECT FROM accounts_apitoken",
            "SELECT FROM django_session",
            "SELECT password FROM accounts_user",
            "INSERT INTO scheduler_project (identifier, name) VALUES ('mine', 'mine')",
            "UPDATE scheduler_taskexecution SET command = '{}'",
            "DELETE FROM scheduler_phaseevent",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                executor.execute(refused)


def test_passwords_show_in_no_command_line_and_no_log(stack: RunningStack) -> None:
    home = Home(Path(stack.home))
    secrets = {role: roles.password(home, role) for role in roles.PASSWORD_FILES}
    for name, pid in stack.pids().items():
        shown = repr(psutil.Process(pid).environ())
        told = [role for role, secret in secrets.items() if secret in shown]
        assert told in ([], [roles.EXECUTOR] if name == "executor" else [])  # as a fork, and as a program of its own
    for process in psutil.process_iter(["cmdline"]):
        assert not [role for role, secret in secrets.items() if secret in repr(process.info["cmdline"])]
    for log in home.logs.iterdir():
        assert not [role for role, secret in secrets.items() if secret in log.read_text(errors="replace")], log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_os_user_reaches_no_socket(stack: RunningStack) -> None:
    home = Home(Path(stack.home))
    program = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    for path in (home.valkey_socket, home.postgres_sockets / ".s.PGSQL.5432", home.supervisor_socket):
        assert path.is_socket()
        command = ["python3", "-c", program, str(path)]
        done = subprocess.run(command, user=65534, group=65534, extra_groups=[], capture_output=True, text=True)
        assert "PermissionError" in done.stderr, path
