"""Where a node stands in its execution: what it is called is looked up by the nodes above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from console.pages.specs import NodeTitles, SpecNode, compiled_workflow
from scheduler.models import Execution, NodeExecution

DEPTHS = 4  # steps of indentation
DYNAMIC_NODES = 1_000  # of an execution: those whose nodes are called as they were written


@dataclass(frozen=True)
class Path:
    """From the outermost node inwards: spec ids, and the rows they belong to."""

    ids: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    @property
    def depth(self) -> int:
        return min(len(self.ids) - 1, DEPTHS)

    def to(self, node: NodeExecution) -> Path:
        return Path((*self.ids, node.spec_node_id), (*self.rows, node.pk))

    def dynamic(self, uris: Mapping[int, str]) -> dict[int, str]:
        """For NodeTitles.find: which of them are dynamic."""
        return {depth: uris[pk] for depth, pk in enumerate(self.rows, start=1) if pk in uris}


def dynamic_of(execution: Execution) -> dict[int, str]:
    """Where what dynamic nodes wrote lies, by their primary keys."""
    rows = NodeExecution.objects.filter(execution=execution, is_dynamic=True).exclude(dynamic_uri="")
    return dict(rows.values_list("pk", "dynamic_uri")[:DYNAMIC_NODES])


def paths_above(nodes: list[NodeExecution]) -> dict[int | None, Path]:
    """By their parents on earlier pages: the path from the top down to these. A query for each level."""
    here = {node.pk for node in nodes}
    outside = {node.parent_id for node in nodes if node.parent_id is not None} - here
    known: dict[int, tuple[int | None, str]] = {}
    missing = set(outside)
    while missing:
        rows = NodeExecution.objects.filter(pk__in=missing).values_list("pk", "parent_id", "spec_node_id")
        known |= {pk: (parent, spec_id) for pk, parent, spec_id in rows}
        missing = {parent for parent, _ in known.values() if parent is not None} - known.keys()
    paths: dict[int | None, Path] = {}
    for pk in sorted(outside):
        path = Path()
        step: int | None = pk
        while step is not None:
            above, spec_id = known[step]
            path = Path((spec_id, *path.ids), (step, *path.rows))
            step = above
        paths[pk] = path
    return paths


def spec_of(execution: Execution, node: NodeExecution, titles: NodeTitles | None = None) -> SpecNode | None:
    """The node as it was written. `titles`: those of the execution's workflow, where they were read already."""
    path, uris, above = Path(), {}, node
    rows = [node]
    while above.parent is not None:
        above = above.parent
        rows.insert(0, above)
    for row in rows:
        path = path.to(row)
        if row.dynamic_uri:
            uris[row.pk] = row.dynamic_uri
    return (titles or NodeTitles(compiled_workflow(execution.workflow))).find(path.ids, path.dynamic(uris))
