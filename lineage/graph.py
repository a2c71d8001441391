"""Lineage as a graph of plain keys: versions, and which was made of which. No database here."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Direction = Literal["upstream", "downstream"]


Origin = tuple[int, int]  # source, target: the target was made of the source. Plain, for there are many of them.


@dataclass(frozen=True)
class Graph:
    """What was reached from `start`: how many steps away each version is, and the steps between them."""

    start: int
    depths: Mapping[int, int]  # version -> steps between, 0 for the start
    steps: Sequence[Origin]


def reach(start: int, steps: Iterable[Origin], direction: Direction, *, max_depth: int) -> Graph:
    """Breadth first from `start` over the steps, upstream to what it was made of or downstream to what it made."""
    known = list(steps)
    near: dict[int, list[int]] = defaultdict(list)
    if direction == "upstream":
        for source, target in known:
            near[target].append(source)
    else:
        for source, target in known:
            near[source].append(target)
    depths = {start: 0}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        if depths[at] == max_depth:
            continue
        for far in near.get(at, ()):
            if far not in depths:
                depths[far] = depths[at] + 1
                queue.append(far)
    return Graph(start, depths, [step for step in known if step[0] in depths and step[1] in depths])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def to_dot(nodes: Mapping[int, str], steps: Iterable[tuple[int, int, str]]) -> str:
    """Graphviz: boxes are what is named, arrows (source, target, label) point from what was used to what was made."""
    lines = ["digraph lineage {", "  rankdir=LR; node [shape=box];"]
    lines += [f"  v{key} [label={_quoted(nodes[key])}];" for key in sorted(nodes)]
    lines += [
        f"  v{a} -> v{b}" + (f" [label={_quoted(label)}];" if label else ";") for a, b, label in sorted(set(steps))
    ]
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(nodes: Mapping[int, str], steps: Iterable[tuple[int, int, str]]) -> str:
    """A Mermaid flow chart; characters with a meaning of their own are written as entities."""

    def safe(text: str) -> str:
        return "".join(c if c.isalnum() or c in " ./-_@+" else f"#{ord(c)};" for c in text)

    lines = ["flowchart LR"]
    lines += [f'  v{key}["{safe(nodes[key])}"]' for key in sorted(nodes)]
    lines += [
        f'  v{a} -- "{safe(label)}" --> v{b}' if label else f"  v{a} --> v{b}" for a, b, label in sorted(set(steps))
    ]
    return "\n".join(lines) + "\n"
