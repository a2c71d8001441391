"""Another system and Causeway in turn on this machine, as ratios: `python benchmarks/against.py mlflow`.

The peer is installed from its own packages, in the releases that its module in benchmarks/peers/ pins, into an
environment of its own below `--folder`, which is kept for the next time. It runs with its state in a PostgreSQL that
has the same settings as Causeway's, and is set up for speed as far as its options say how; that module has these
settings too. What both write goes away at the end.

First each is started alone, in turn: seconds of a second start until its UI answers, and its memory some time later.
Then both run, and are asked in turn, round by round; the first round of these warms up and is not counted. Ratios are
ours to the peer's: of what is counted a second, above 1 is better; of times and memory, below 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import starting
from peers import causeway
from peers.figures import MEASURES, Act, Round, Sizes, table
from peers.place import Place, environment, folder, place

PEERS = ("mlflow", "prefect", "dagster", "airflow")
ROOT = Path(__file__).resolve().parent.parent
Here = Callable[[Path], AbstractContextManager[Place]]  # a place in that folder


def alone(peer: Any, at: Here, here: Path) -> dict[str, Round]:
    """One second start of each: seconds until it answers, and its memory (MB) when it has been idle for a while."""

    def theirs() -> tuple[float, float]:
        began = time.monotonic()
        with at(here / "alone") as it, peer.started(it):
            answered = time.monotonic() - began
            time.sleep(starting.IDLE)
            return answered, it.memory()[0]

    ours = here / "ours"
    if not ours.exists():  # a first start
        with at(here / "alone") as it, peer.started(it):
            pass
        starting.start(ROOT, ours, "first")
    answered, memory = theirs()
    figures = starting.idle(ROOT, ours, show=False)
    return {
        "start": ([answered], [figures["second start: console answers"]]),
        "memory": ([memory], [figures["memory, idle"]]),
    }


def in_turn(theirs: dict[str, Act], ours: dict[str, Act], number: int) -> dict[str, Round]:
    """Each measure of both, one after the other; who comes first changes from round to round."""
    found = {}
    for measure, act in theirs.items():
        sides = [("theirs", act), ("ours", ours[measure])]
        samples = {side: one() for side, one in (sides if number % 2 == 0 else sides[::-1])}
        found[measure] = (samples["theirs"], samples["ours"])
    return found


def measure(peer: Any, at: Here, wanted: Sequence[str], rounds: int, sizes: Sizes) -> dict[str, list[Round]]:
    told: dict[str, list[Round]] = defaultdict(list)

    def note(found: dict[str, Round]) -> None:
        for name, one in found.items():
            if name in wanted:
                told[name].append(one)

    with folder() as here:
        if {"start", "memory"} & set(wanted):
            for number in range(rounds):
                note(alone(peer, at, here))
                print(f"alone, round {number + 1}, load {os.getloadavg()[0]:.1f}", flush=True)
        if set(wanted) - {"start", "memory"}:
            with ExitStack() as stack:
                it = stack.enter_context(at(here / "peer"))
                stack.enter_context(peer.started(it))
                theirs = {name: act for name, act in peer.acts(it).items() if name in wanted}
                ours = stack.enter_context(causeway.running(theirs, sizes))
                for number in range(rounds + 1):
                    found = in_turn(theirs, ours, number)
                    if number:
                        note(found)
                    print(f"round {number}, load {os.getloadavg()[0]:.1f}", flush=True)
    return told


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "causeway/against"
    parser.add_argument("--folder", type=Path, default=kept, help="of the peers' environments, default %(default)s")
    parser.add_argument("--measures", nargs="*", choices=list(MEASURES), default=list(MEASURES), help="default all")
    for name, default in vars(Sizes()).items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped then, too
    peer = import_module(f"peers.{asked.peer}")
    venv = environment(asked.folder.resolve() / asked.peer, peer.PINS, getattr(peer, "CONSTRAINTS", ""))
    sizes = Sizes(**{name: getattr(asked, name) for name in vars(Sizes())})
    wanted = [name for name in peer.MEASURES if name in asked.measures]
    began = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    at = partial(place, venv, sizes=sizes, extension=getattr(peer, "EXTENSION", ""))
    told = measure(peer, at, wanted, asked.rounds, sizes)
    print(f"{began} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {', '.join(peer.PINS)}; {sizes}")
    print(table(peer.PINS[0].replace("==", " "), told, peer.REMARKS))


if __name__ == "__main__":
    main()
