"""Our side: the same work as of the peer, by the programs of the other benchmarks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import chain
import reactive
import throughput
from in_turn import published
from peers import registry
from peers.figures import LINKS, Act, Sizes
from setup import DOMAIN, PROJECT, Bench, bench


def version(tag: str, number: int, asked: int) -> tuple[str, Any]:
    body = {"value": asked, "kind": "model", "metadata": {"ticket": f"{tag}-{number}-{asked}"}}
    return f"/api/v1/artifacts/{PROJECT}/{DOMAIN}/bench-{number}/versions", body


def found(tag: str) -> str:
    return f"/api/v1/artifact-versions?{urlencode({'q': f'metadata.ticket={tag}'})}"


@contextmanager
def running(measures: Collection[str], sizes: Sizes) -> Iterator[dict[str, Act]]:
    """What can be asked of one that runs, by measure."""
    with bench() as b:
        headers = {"Authorization": f"Bearer {b.stack.admin_token}"}
        acts: dict[str, Act] = {}
        if {"versions", "search"} & set(measures):
            acts |= registry.acts(b.stack.http_url, headers, version, found, sizes)
        for measure, options in {"tasks": "", "reused": '(environment={"CAUSEWAY_REUSE": "1"})'}.items():
            if measure in measures:
                source = throughput.PROGRAM.format(tasks=sizes.tasks, options=options)
                acts[measure] = _rate(_runs(b, f"bench_{measure}", source, "many"), sizes.tasks)
        if "chain" in measures:
            acts["chain"] = _runs(b, "bench_chain", chain.PROGRAM.format(steps=LINKS), "chain")
        if "event" in measures:
            b.register("bench_reactive", reactive.PROGRAM)
            acts["event"] = lambda: list(published(b, sizes.events, reactive.EXECUTIONS)["starts"])
        yield acts


def _runs(b: Bench, module: str, source: str, workflow: str) -> Act:
    """Seconds of an execution, from its creation to its end."""
    b.register(module, source)
    plan = b.remote.fetch_launch_plan(name=f"program.{module}.{workflow}", version="v1")
    return lambda: [b.run(plan)]


def _rate(act: Act, tasks: int) -> Act:
    return lambda: [tasks / seconds for seconds in act()]
