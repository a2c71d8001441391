from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from django.db import connection

from tests.stack import free_port

pytestmark = pytest.mark.e2e  # real processes

ROOT = Path(__file__).resolve().parents[3]


def start(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "rpc", "--port", str(port), "--threads", "2"]
    database = str(connection.settings_dict["NAME"])
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()
    env = {**os.environ, "DATABASE_URL": url}
    return subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)


def answers(port: int, seconds: float) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return bool(check(b"", timeout=seconds, wait_for_ready=True))
        except grpc.RpcError:
            return False


@pytest.fixture
def port() -> int:
    return free_port()


def test_it_serves_until_it_is_told_to_stop(port: int, transactional_db: None) -> None:
    server = start(port)
    try:
        assert answers(port, 30)
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    finally:
        server.kill()


def test_it_says_in_one_line_that_its_port_is_taken(address: str) -> None:
    taken = int(address.rpartition(":")[2])
    server = start(taken)
    _, errors = server.communicate(timeout=60)
    assert server.returncode == 1
    assert f"cannot listen on 127.0.0.1:{taken}" in errors and "Traceback" not in errors
