"""A served model beside the bare server of its framework, and what an alias that moves does to requests.

Both answer the same rows with the same model, a process each, asked in turn on connections that stay. `bare` is the
standard library's server with the model and nothing else; MLflow's own is asked too where `--mlflow` names its command
(of an environment with scikit-learn).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import joblib
from causeway.mlflow_models import write
from setup import Bench, bench, show
from sklearn.linear_model import LogisticRegression

BARE = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import joblib

model = joblib.load(sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
        self.answer({"predictions": model.predict(rows).tolist()})

    def answer(self, said):
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""
PATHS = {"bare": "/predict", "causeway": "/predict", "mlflow": "/invocations"}
HEALTH = {"bare": "/", "causeway": "/ready", "mlflow": "/health"}
ROW = [5.1, 3.5, 1.4, 0.2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def process(name: str, command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A server, once it answers."""
    made = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while not answers(port, HEALTH[name]):
            if made.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not start: {' '.join(command)}")
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(made.pid, signal.SIGKILL)
        made.wait()


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, path: str, body: str) -> tuple[int, bytes]:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def timed(port: int, path: str, body: str, times: int) -> list[float]:
    """Milliseconds of each of so many, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    found = []
    for _ in range(times):
        start = time.perf_counter()
        status, _ = ask(connection, path, body)
        found.append((time.perf_counter() - start) * 1000)
        if status != 200:
            raise SystemExit(f"port {port} answers {status}")
    connection.close()
    return found


def compare(ports: dict[str, int], rows: int, rounds: int, times: int) -> None:
    body = json.dumps({"instances": [ROW] * rows})
    every: dict[str, list[float]] = {name: [] for name in ports}
    medians: dict[str, list[float]] = {name: [] for name in ports}
    for turn in range(rounds + 1):
        for name in sorted(ports, reverse=turn % 2 == 1):
            took = timed(ports[name], PATHS[name], body, times)
            if turn:  # the first round warms up
                every[name] += took
                medians[name].append(statistics.median(took))
    for name, took in every.items():
        show(f"{rows} rows, {name}", took)
    for name in ports:
        if name != "bare":
            ratios = [mine / its for mine, its in zip(medians[name], medians["bare"], strict=True)]
            told = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{rows} rows, {name} to bare, medians of {rounds} rounds: {told}")


def swap(it: Bench, port: int, requests: int, callers: int, moves: int) -> None:
    """So many requests, by several callers, while the alias goes back and forth."""
    left, lock = iter(range(requests)), threading.Lock()
    statuses: Counter[int | str] = Counter()
    versions: Counter[str] = Counter()

    def go_on() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        body = json.dumps({"instances": [ROW]})
        while True:
            with lock:
                if next(left, None) is None:
                    return
            try:
                status, answer = ask(connection, "/predict", body)
                said = json.loads(answer)["model"]["version"] if status == 200 else "none"
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                status, said = type(error).__name__, "none"  # type: ignore[assignment]
            with lock:
                statuses[status] += 1
                versions[said] += 1

    threads = [threading.Thread(target=go_on) for _ in range(callers)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    made = 0
    while any(thread.is_alive() for thread in threads):
        if made < moves and sum(statuses.values()) >= made * requests / moves:
            made += 1
            it.client.move_alias("irises", "champion", f"v{made % 2 + 1}")
        time.sleep(0.02)
    seconds = time.monotonic() - start
    failed = sum(statuses.values()) - statuses[200]
    print(f"{requests} requests by {callers} callers in {seconds:.1f} s, {made} moves of the alias: {failed} failed")
    print(f"answers by version: {dict(versions)}; statuses: {dict(statuses)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"rounds": 10, "times": 300, "requests": 10_000, "callers": 4, "moves": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--mlflow", default="", help="the command `mlflow` of an environment with scikit-learn")
    asked = parser.parse_args()
    with bench() as it, tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        path = Path(folder, "irises.joblib")
        for number, kept in (("v1", 0), ("v2", 2)):
            joblib.dump(LogisticRegression().fit([ROW, [6.7, 3.0, 5.2, 2.3]], [kept, 5]), path)
            version = it.client.create("irises", file=path, kind="model", version=number)
        it.client.move_alias("irises", "champion", "v1")
        commands = {
            "bare": [sys.executable, "-c", BARE, str(path)],
            "causeway": [str(Path(sys.executable).with_name("causeway")), "serve", "irises:champion"],
        }
        commands["causeway"] += ["--allow-pickle", "--every", "0.2", "--port"]
        if asked.mlflow:
            write(version, Path(folder, "model"), allow_pickle=True)
            commands["mlflow"] = [asked.mlflow, "models", "serve", "--env-manager", "local"]
            commands["mlflow"] += ["-m", str(Path(folder, "model")), "-p"]
        environment = {"CAUSEWAY_URL": it.stack.http_url, "CAUSEWAY_TOKEN": it.stack.admin_token}
        ports = {}
        for name, command in commands.items():
            port = free_port()
            more = {"PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}", **environment}
            ports[name] = servers.enter_context(process(name, [*command, str(port)], port, **more))
        for rows in (1, 100):
            compare(ports, rows, asked.rounds, asked.times)
        swap(it, ports["causeway"], asked.requests, asked.callers, asked.moves)


if __name__ == "__main__":
    main()
