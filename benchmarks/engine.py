"""The engine alone: node transitions per second of CPU, without database, store or processes.

    python -m benchmarks.engine [--nodes 10000] [--batch 1]

Every event is evaluated on its own (`--batch 1`), as for a worker that is told of one finished task after the other;
the state is a plain dictionary. Cost per event must not grow with the graph: compare two sizes.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime, timezone

from scheduler.engine import commands as c
from scheduler.engine.evaluate import evaluate
from scheduler.engine.events import AttemptSucceeded, Collected, Event, Launched, Prepared
from scheduler.engine.graph import Kind, NodeSpec, Scope
from scheduler.engine.phases import Phase
from scheduler.engine.state import ROOT, Node, State

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def graph(size: int, width: int) -> Scope:
    """`width` chains side by side, `size` nodes in all."""
    length = size // width
    nodes = {}
    for lane in range(width):
        for step in range(length):
            spec_id = f"n{lane}x{step}"
            nodes[spec_id] = NodeSpec(
                id=spec_id,
                kind=Kind.TASK,
                upstream=(f"n{lane}x{step - 1}",) if step else (),
                downstream=(f"n{lane}x{step + 1}",) if step + 1 < length else (),
                takes_slot=True,
            )
    return Scope(nodes=nodes)


def run(scope: Scope, batch: int) -> tuple[int, float]:
    """Node transitions made, and seconds of CPU spent in `evaluate`."""
    root = NodeSpec(id=ROOT, kind=Kind.WORKFLOW, body=scope)
    nodes = {ROOT: Node(key=ROOT, spec=root, parent=None, body=scope)}
    state = State(nodes)
    events: list[Event] = [Launched()]
    moves, spent = 0, 0.0
    while events:
        now, events = events[:batch], events[batch:]
        began = time.process_time()
        outcome = evaluate(state, now, NOW)
        spent += time.process_time() - began
        nodes.update(outcome.nodes)
        moves += len(outcome.moves)
        for command in outcome.commands:
            match command:
                case c.Prepare(key=key):
                    events.append(Prepared(key))
                case c.Submit(key=key, attempt=attempt):
                    events.append(AttemptSucceeded(key, attempt=attempt))
                case c.Collect(key=key):
                    events.append(Collected(key))
    if nodes[ROOT].phase is not Phase.SUCCEEDED:
        raise SystemExit("the workflow did not succeed")
    return moves, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    for size in (options.nodes // 10, options.nodes):
        for width in (1, 100):
            moves, spent = run(graph(size, width), options.batch)
            print(f"{size:>7} nodes, {width:>3} chains: {moves / spent:>9,.0f} transitions/s")


if __name__ == "__main__":
    main()
