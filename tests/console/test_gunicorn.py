from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time

import pytest

from tests.stack import free_port

pytestmark = pytest.mark.e2e  # real processes


def answer_to(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_longest_query_is_read() -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "python:console.gunicorn",
        "wsgiref.simple_server:demo_app",
    ]
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--no-control-socket"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                answer_to(port, "/")
                break
            time.sleep(0.1)
        assert answer_to(port, "/?" + "x" * (10 * 1024 * 12)) == 200
        assert answer_to(port, "/?" + "x" * (129 * 1024)) == 414
    finally:
        process.terminate()
        process.wait()
