"""`script/up`: starts Causeway on this machine, and becomes what stays until Ctrl-C (watching.py)."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from types import FrameType

from console.supervisor import clusters, preflight, watching
from console.supervisor.connector import setup as connector
from console.supervisor.connector.setup import Here
from console.supervisor.errors import CannotStart
from console.supervisor.paths import Home
from console.supervisor.processes import ROOT, Options
from console.supervisor.s3_door import door
from console.supervisor.stack import Stack
from scheduler.executors.connectors.connector import parse as parse_connectors
from scheduler.executors.descriptions import BadDescription

DEMO = ROOT / "examples" / "archipelago" / "run.py"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError
    return number


def parse(arguments: list[str]) -> tuple[Options, bool, str]:
    """The options, whether the demo is wanted, and what is said of an S3 door. Flags win over the environment."""
    parser = argparse.ArgumentParser(prog="script/up", description="Start Causeway on this machine; Ctrl-C stops it.")
    env = os.environ
    parser.add_argument("--home", default=env.get("CAUSEWAY_HOME") or str(ROOT / ".causeway"), help="data directory")
    parser.add_argument(
        "--http-port", type=port, default=env.get("CAUSEWAY_HTTP_PORT") or "8000", help="console and REST"
    )
    parser.add_argument(
        "--grpc-port", type=port, default=env.get("CAUSEWAY_GRPC_PORT") or "8089", help="flytekit's door"
    )
    parser.add_argument("--kubeconfig", default=env.get("CAUSEWAY_KUBECONFIG"), help="run tasks on this cluster's pods")
    parser.add_argument(
        "--image", default=env.get("CAUSEWAY_CLUSTER_IMAGE"), help="image of its tasks that name none (with flytekit)"
    )
    parser.add_argument(
        "--s3-door",
        default=env.get("CAUSEWAY_S3_DOOR") or "",
        metavar="ADDRESS[:PORT]",
        help="serve this machine's objects over S3 there (or `auto`); with a cluster and no other store it does",
    )
    parser.add_argument(
        "--connectors",
        nargs="?",
        const=sys.executable,
        default=env.get("CAUSEWAY_CONNECTOR_PYTHON"),
        metavar="PYTHON",
        help="serve the connectors that flytekit and its plug-ins have in that Python (default: Causeway's own)",
    )
    parser.add_argument("--no-demo", action="store_true", help="start empty, without the example teams")
    found = parser.parse_args(arguments)
    if found.http_port == found.grpc_port:
        raise CannotStart(f"--http-port and --grpc-port are both {found.http_port}: choose two different ports")
    here = Here(found.connectors, _connector_port(found)) if found.connectors else None
    options = Options(
        home=Home(preflight.absolute(found.home)),
        bind=env.get("CAUSEWAY_BIND") or "127.0.0.1",
        http_port=found.http_port,
        grpc_port=found.grpc_port,
        postgres=not env.get("DATABASE_URL"),
        valkey=not env.get("REDIS_URL"),
        environment={**_cluster_environment(found.kubeconfig, found.image), **_connector_environment(here)},
        connector=here,
    )
    return options, not found.no_demo, found.s3_door


def _connector_port(found: argparse.Namespace) -> int:
    """CAUSEWAY_CONNECTOR_PORT, or the next to flytekit's door that nothing else of ours has."""
    try:
        given = port(os.environ.get("CAUSEWAY_CONNECTOR_PORT") or str(found.grpc_port + 1))
    except ValueError:
        raise CannotStart("CAUSEWAY_CONNECTOR_PORT has to be a port, such as 8090") from None
    if given in (found.http_port, found.grpc_port):
        raise CannotStart(f"the connector service would have port {given}, as another door: CAUSEWAY_CONNECTOR_PORT")
    return given


def _connector_environment(here: Here | None) -> dict[str, str]:
    """The connectors that are set, with our own. CannotStart for what is not understood."""
    before = os.environ.get("CAUSEWAY_CONNECTORS") or ""
    try:
        found = parse_connectors(text := here.setting(before) if here is not None else before)
    except BadDescription as error:
        raise CannotStart(f"CAUSEWAY_CONNECTORS: {error}") from None
    return {"CAUSEWAY_CONNECTORS": text} if found else {}


def _cluster_environment(kubeconfig: str | None, image: str | None) -> dict[str, str]:
    if kubeconfig and not os.path.isfile(kubeconfig):
        raise CannotStart(f"--kubeconfig: there is no file {kubeconfig}")
    given = {"CAUSEWAY_KUBECONFIG": os.path.abspath(kubeconfig) if kubeconfig else "", "CAUSEWAY_CLUSTER_IMAGE": image}
    return {name: value for name, value in given.items() if value}


def run_demo(stack: Stack) -> None:
    """Register and launch the example teams, once a data directory; a failure leaves Causeway running."""
    done = stack.home.root / "demo-launched"
    if done.exists() or not DEMO.exists():
        return
    say("registering and launching the demo (examples/archipelago)")
    command = [sys.executable, str(DEMO)]
    finished = subprocess.run(command, env={**stack.env, "FLYTECTL_CONFIG": str(stack.home.flyte_config)}, cwd=ROOT)
    if finished.returncode == 0:
        done.touch()
    else:
        say(
            f"the demo failed (exit code {finished.returncode}); Causeway goes on. Repeat it with: "
            f"FLYTECTL_CONFIG={stack.home.flyte_config} {' '.join(command)}"
        )


def serve(options: Options, *, demo: bool, s3: str, began: float) -> None:
    """Check, start, announce; then be what stays (watching.py), or stop."""
    os.umask(0o077)  # what it and its processes keep is for nobody else
    again = bool(os.environ.pop(watching.AGAIN, ""))  # the supervisor was killed
    home = options.home
    preflight.check_home(home)
    held = preflight.lock(home)
    env = {**os.environ, **options.environment}
    if not again:
        check(options, env)
    options = replace(options, door=door(home, env, s3, say=say))
    stack = Stack(options, say=say)
    if not again:
        make_room(stack)

    def on_signal(number: int, frame: FrameType | None) -> None:
        for each in watching.SIGNALS:  # already stopping: a second Ctrl-C must not interrupt the orderly end
            signal.signal(each, signal.SIG_IGN)
        raise watching.Interrupted

    for number in watching.SIGNALS:
        signal.signal(number, on_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watching.SIGNALS)
    try:
        stack.start()
        if not again:
            say(f"the console answers after {time.monotonic() - began:.1f} s")
            # Made while the others begin; it works for a few minutes only, and a demo takes as long.
            link = "" if demo else login_link(stack)
            stack.wait_ready()
            since = f"{time.monotonic() - began:.1f} s"
            say(f"everything is started after {since}: console, gRPC, workers and executor answer")
            if demo:
                run_demo(stack)
            announce(stack, link or login_link(stack))
        watching.begin(stack.supervisor, held.fileno(), str(home.root), sys.argv[1:])
    except watching.Interrupted:
        pass
    finally:
        for number in watching.SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        say("stopping")
        stack.stop()
        held.close()
        say("stopped")


def check(options: Options, env: Mapping[str, str]) -> None:
    """Raises CannotStart for what cannot work, before anything is written."""
    preflight.check_data_version(options.home)
    preflight.check_disk(options.home)
    preflight.check_wheels(postgres=options.postgres, valkey=options.valkey)
    if options.connector is not None:
        connector.check(options.connector.python)
    clusters.check(env)


def make_room(stack: Stack) -> None:
    """Say what clusters there are, stop what is left of an earlier run, and look whether the ports are free."""
    options, store = stack.options, stack.env.get("CAUSEWAY_STORE_URL") or str(stack.home.root / "objects")
    for line in clusters.describe(stack.env, store):
        say(line)
    stack.clear_leftovers()
    preflight.check_port(options.bind, options.http_port, option="--http-port")
    preflight.check_port(options.bind, options.grpc_port, option="--grpc-port")
    if options.connector is not None:
        preflight.check_port("127.0.0.1", options.connector.port, option="CAUSEWAY_CONNECTOR_PORT")


def login_link(stack: Stack) -> str:
    return stack.manage_warm(["login_link", "--skip-checks"])[0]


def announce(stack: Stack, link: str) -> None:
    home = stack.home
    say("")
    say(f"  Causeway   {stack.http_url}")
    say(f"  log in     {link}")
    say("             (works once, for a few minutes; another one: script/login-link)")
    say(f"  flytekit   {stack.grpc_endpoint}, insecure: export FLYTECTL_CONFIG={home.flyte_config}")
    if sys.version_info >= (3, 13):  # flytekit's commands look for the image of their Python before anything else
        image = f"cr.flyte.org/flyteorg/flytekit:py3.12-{version('flytekit')}"
        say(f"             its pyflyte knows Python up to 3.12, so also: export FLYTE_INTERNAL_IMAGE={image}")
    say(f"  REST       {stack.http_url}/api/v1/ with the token in {home.admin_token}")
    say(f"  logs       {home.logs}")
    say("  Ctrl-C stops it; running tasks go on and are picked up at the next start.")
    say("")


def main() -> int:
    began = float(os.environ.pop("CAUSEWAY_UP_BEGAN", "0")) or time.time()
    try:
        options, demo, s3 = parse(sys.argv[1:])
        serve(options, demo=demo, s3=s3, began=time.monotonic() - (time.time() - began))
    except CannotStart as error:
        print(f"script/up: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
