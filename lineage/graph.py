"""Lineage as a graph of plain keys: versions and executions by their edges. No database here."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Direction = Literal["upstream", "downstream"]


class Link(NamedTuple):
    """A version that an execution took in (`role` consumed) or published (produced)."""

    version_id: int
    execution_key: str
    role: str


class Origin(NamedTuple):
    """Where a version came from by one step: `target` was made by the execution out of `source`."""

    source: int
    target: int
    execution_key: str


@dataclass(frozen=True)
class Graph:
    """What was reached from `start`: how many executions away each version is, and the steps between them."""

    start: int
    depths: Mapping[int, int]  # version -> executions between, 0 for the start
    steps: Sequence[Origin]


def origins(links: Iterable[Link]) -> list[Origin]:
    """Every output of an execution came from every version it took in before: ids grow, so `before` is a lower id.

    That an execution's later nodes take in what its earlier ones published is thereby no circle.
    """
    consumed: dict[str, set[int]] = defaultdict(set)
    produced: dict[str, set[int]] = defaultdict(set)
    for link in links:
        (produced if link.role == "produced" else consumed)[link.execution_key].add(link.version_id)
    return sorted(
        Origin(source, target, key)
        for key, targets in produced.items()
        for target in targets
        for source in consumed.get(key, ())
        if source < target
    )


def reach(start: int, steps: Sequence[Origin], direction: Direction, *, max_depth: int) -> Graph:
    """Breadth first from `start` over the steps, upstream to what it was made of or downstream to what it made."""
    near: dict[int, list[Origin]] = defaultdict(list)
    for step in steps:
        near[step.target if direction == "upstream" else step.source].append(step)
    depths = {start: 0}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        if depths[at] == max_depth:
            continue
        for step in near[at]:
            far = step.source if direction == "upstream" else step.target
            if far not in depths:
                depths[far] = depths[at] + 1
                queue.append(far)
    kept = [step for step in steps if step.source in depths and step.target in depths]
    return Graph(start, depths, kept)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def to_dot(graph: Graph, names: Mapping[int, str]) -> str:
    """Graphviz: boxes are versions, arrows point from what was used to what was made."""
    lines = ["digraph lineage {", "  rankdir=LR; node [shape=box];"]
    lines += [f"  v{version} [label={_quoted(names.get(version, str(version)))}];" for version in sorted(graph.depths)]
    lines += [f"  v{s.source} -> v{s.target} [label={_quoted(s.execution_key)}];" for s in graph.steps]
    return "\n".join([*lines, "}"])


def to_mermaid(graph: Graph, names: Mapping[int, str]) -> str:
    """A Mermaid flow chart; characters with a meaning of their own are written as entities."""

    def safe(text: str) -> str:
        return "".join(c if c.isalnum() or c in " ./-_@+" else f"#{ord(c)};" for c in text)

    lines = ["flowchart LR"]
    lines += [f'  v{version}["{safe(names.get(version, str(version)))}"]' for version in sorted(graph.depths)]
    lines += [f'  v{s.source} -- "{safe(s.execution_key)}" --> v{s.target}' for s in graph.steps]
    return "\n".join(lines)
