"""A graph of lineage for others: as JSON, DOT, Mermaid or OpenLineage events. What may not be seen is a stub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lineage.graph import to_dot, to_mermaid
from lineage.names import NameGraph
from lineage.openlineage import run_event_of
from lineage.walks import Reached, VersionNode

FORMATS = ("json", "dot", "mermaid", "openlineage")
NAME_FORMATS = ("json", "dot", "mermaid")
CONTENT_TYPES = {"dot": "text/vnd.graphviz; charset=utf-8", "mermaid": "text/plain; charset=utf-8"}
HIDDEN = "(not visible to you)"

Readable = Callable[[str, str], bool]  # project, domain


def node_json(node: VersionNode, *, readable: Readable) -> dict[str, Any]:
    """A version as one node; of what may not be read, only that it is there."""
    if not readable(node.project, node.domain):
        return {"id": node.pk, "hidden": True}
    project, _, rest = node.execution_key.partition("/")
    seen = bool(node.execution_key) and readable(project, rest.partition("/")[0])
    return {
        "id": node.pk,
        "hidden": False,
        "project": node.project,
        "domain": node.domain,
        "name": node.name,
        "version": node.version,
        "kind": node.kind,
        "partitions": node.partitions,
        "time_partition": node.time_partition,
        "created_at": node.created_at,
        "removed_at": node.removed_at,
        "execution": node.execution_key if seen else None,
        "node_id": node.node_id if seen else "",
        "producer": node.producer if seen else "",
        "same_data_as": node.same_data_as_id,
    }


def graph_json(reached: Reached, *, readable: Readable) -> dict[str, Any]:
    """`nodes`, nearest first, and `edges` from what was used to what was made of it."""
    depths = sorted(reached.graph.depths.items(), key=lambda one: (one[1], -one[0]))
    return {
        "start": reached.graph.start,
        "nodes": [{**node_json(reached.versions[pk], readable=readable), "depth": depth} for pk, depth in depths],
        "edges": [{"source": source, "target": target} for source, target in reached.graph.steps],
        "truncated": reached.truncated,
    }


def graph_text(reached: Reached, form: str, *, readable: Readable) -> str:
    """As DOT or Mermaid; arrows bear the execution that made the target."""
    shown = {pk: node_json(node, readable=readable) for pk, node in reached.versions.items()}
    names = {pk: HIDDEN if one["hidden"] else f"{one['name']}@{one['version']}" for pk, one in shown.items()}
    steps = [(a, b, shown[b].get("execution") or "") for a, b in reached.graph.steps]
    return to_dot(names, steps) if form == "dot" else to_mermaid(names, steps)


def graph_events(reached: Reached, *, readable: Readable) -> list[dict[str, Any]]:
    """One OpenLineage event for each execution that made something of the graph, with what of it went in and out."""
    seen = {pk: node for pk, node in reached.versions.items() if readable(node.project, node.domain)}
    made: dict[str, set[int]] = {}
    taken: dict[str, set[int]] = {}
    for pk, node in seen.items():
        project, _, rest = node.execution_key.partition("/")
        if node.execution_key and readable(project, rest.partition("/")[0]):
            made.setdefault(node.execution_key, set()).add(pk)
    for source, target in reached.graph.steps:
        if source in seen and target in seen:
            taken.setdefault(seen[target].execution_key, set()).add(source)
    return [
        run_event_of(
            key,
            job=next(iter(seen[pk].producer for pk in outputs), ""),
            at=max(seen[pk].created_at for pk in outputs),
            inputs=[seen[pk] for pk in sorted(taken.get(key, ()))],
            outputs=[seen[pk] for pk in sorted(outputs)],
        )
        for key, outputs in sorted(made.items())
    ]


def names_json(graph: NameGraph, *, readable: Readable) -> dict[str, Any]:
    """The meta-workflow: artifacts, and which are made of which by what."""
    visible = {one.pk: readable(one.project, one.domain) for one in graph.artifacts}
    return {
        "artifacts": [
            {"id": one.pk, "hidden": False, **_artifact(one)} if visible[one.pk] else {"id": one.pk, "hidden": True}
            for one in graph.artifacts
        ],
        "edges": [
            {
                "source": step.source.pk,
                "target": step.target.pk,
                "producer": step.producer if visible[step.target.pk] else "",
                "versions": step.versions,
            }
            for step in graph.steps
        ],
        "truncated": graph.truncated,
    }


def _artifact(artifact: Any) -> dict[str, str]:
    return {
        "project": artifact.project,
        "domain": artifact.domain,
        "name": artifact.name,
        "kind": artifact.kind,
    }


def names_text(graph: NameGraph, form: str, *, readable: Readable) -> str:
    described = names_json(graph, readable=readable)
    names = {
        one["id"]: HIDDEN if one["hidden"] else f"{one['project']}/{one['domain']}/{one['name']}"
        for one in described["artifacts"]
    }
    steps = [(one["source"], one["target"], one["producer"]) for one in described["edges"]]
    return to_dot(names, steps) if form == "dot" else to_mermaid(names, steps)
