"""Outputs that exist already: of the execution that is being recovered, or of a cached task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from flyteidl.core import catalog_pb2, literals_pb2

from artifacts.literals import digest
from artifacts.store import store
from scheduler.engine.events import Event, Held, Prepared, Reused
from scheduler.engine.graph import Kind
from scheduler.engine.phases import TERMINAL
from scheduler.engine.state import Node
from scheduler.graphs import Target
from scheduler.models import CacheEntry, Execution, ExecutionMode, NodeExecution, TaskExecution
from scheduler.phases import NODE_TERMINAL, AttemptPhase, NodePhase
from scheduler.shell import data
from scheduler.shell.flush import insert_new_nodes
from scheduler.shell.item_blocks import inputs_of
from scheduler.shell.items import item_inputs
from scheduler.shell.turn import Turn
from scheduler.shell.uris import Uris

_RECOVERABLE = frozenset({Kind.TASK, Kind.WORKFLOW, Kind.LAUNCH_PLAN, Kind.ARRAY, Kind.GATE})
_SUCCEEDED = (NodePhase.SUCCEEDED, NodePhase.RECOVERED)
LOOK_AGAIN = timedelta(seconds=2)  # while somebody else computes what is wanted


def recover(turn: Turn, node: Node) -> bool:
    """Take the outputs of the same node of the recovered execution, if it had succeeded there."""
    former = turn.execution.reference_id
    if turn.execution.mode != ExecutionMode.RECOVERED or former is None or node.spec.kind not in _RECOVERABLE:
        return False
    rows = NodeExecution.objects.filter(execution_id=former, node_id=node.key, phase__in=_SUCCEEDED)
    found = rows.values_list("output_uri", "deck_uri", "state").first()
    if found is None:
        return False
    if "origins" in found[2]:
        turn.rows.origins[node.key] = found[2]["origins"]
    turn.set(node.key, {"output_uri": found[0], "deck_uri": found[1]})
    return True


def is_cached(target: Target) -> bool:
    """The node's word counts more than the task's."""
    metadata = target.node.metadata
    if metadata.WhichOneof("cacheable_value"):
        return metadata.cacheable
    return target.task is not None and target.task.metadata.discoverable


def is_serialized(target: Target) -> bool:
    metadata = target.node.metadata
    if metadata.WhichOneof("cache_serializable_value"):
        return metadata.cache_serializable
    return target.task is not None and target.task.metadata.cache_serializable


def cache_version(target: Target) -> str:
    metadata = target.node.metadata
    if metadata.WhichOneof("cache_version_value"):
        return metadata.cache_version
    return target.task.metadata.discovery_version if target.task is not None else ""


def cache_key(turn: Turn, target: Target, inputs: literals_pb2.LiteralMap) -> str:
    """Digest of all that the outputs depend on; empty if the node is not cached.

    A project's executions share their results with nobody else's: where they run is part of it, if that is not where
    the task is registered. Else who may refer to a task could read what others computed with it, and, as the caller's
    environment is none of it, put what he likes in its place.
    """
    task = target.task
    if task is None or target.node.WhichOneof("target") != "task_node" or not is_cached(target):
        return ""
    project, domain = turn.execution.project, turn.execution.domain
    elsewhere = [f"in {project}/{domain}"] if (project, domain) != (task.id.project, task.id.domain) else []
    ignored = set(task.metadata.cache_ignore_input_vars)
    parts = [
        *elsewhere,
        task.id.project,
        task.id.domain,
        task.id.name,
        cache_version(target),
        hashlib.sha256(task.interface.SerializeToString(deterministic=True)).hexdigest(),
        *(f"{name}={digest(inputs.literals[name])}" for name in sorted(inputs.literals) if name not in ignored),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def look_up(turn: Turn, node: Node, target: Target, key: str) -> Event | None:
    """Prepared from the cache, or Held while another node computes the same; None: this node has to compute it."""
    status = catalog_pb2
    if turn.spec.overwrite_cache:
        turn.set(node.key, {"cache_key": key, "cache_status": status.CACHE_SKIPPED})
        return None
    entry = CacheEntry.objects.filter(key=key).first()
    if entry is None or not entry.output_uri:
        turn.set(node.key, {"cache_key": key, "cache_status": status.CACHE_MISS})
        entry = _claimed(turn, node, target, key) if is_serialized(target) else None
        if entry is None:
            return None
        if not entry.output_uri:
            return Held(node.key, until=turn.now + LOOK_AGAIN)
    turn.set(node.key, {"cache_key": key, "cache_status": status.CACHE_HIT, "output_uri": entry.output_uri})
    return Prepared(node.key, cached=True)


def _claimed(turn: Turn, node: Node, target: Target, key: str, index: int = -1) -> CacheEntry | None:
    """None if this node, or item of a map, is the one that computes it; else the entry of the one that does, or has
    done so while this one asked.

    The unique key decides between two that ask at once.
    """
    insert_new_nodes(turn)  # the claim refers to its node
    pk = turn.rows.pks[node.key]
    claim = _entry(turn, target, key, holder=pk)
    claim.holder_item = index
    CacheEntry.objects.bulk_create([claim], ignore_conflicts=True)
    # The holder is read afterwards: what is joined to a row that one had to wait for is as it was before the wait.
    entry = CacheEntry.objects.select_for_update().get(key=key)
    if entry.output_uri:
        return entry
    if (entry.holder_id, entry.holder_item) == (pk, index):
        return None
    if _is_held(turn, entry):
        return entry
    CacheEntry.objects.filter(pk=entry.pk).update(holder_id=pk, holder_item=index, created_at=turn.now)
    return None


def _is_held(turn: Turn, entry: CacheEntry) -> bool:
    """Whether the claim's holder may still compute it."""
    holder = entry.holder
    if holder is None:
        return False
    if holder.execution_id == turn.execution.pk:  # this turn may know better than the database
        node = turn.rows[holder.node_id]
        return node.phase not in TERMINAL and entry.holder_item not in node.memory.get("bad", ())
    bad = holder.state.get("memory", {}).get("bad", ())
    return holder.phase not in NODE_TERMINAL and entry.holder_item not in bad


def item_answer(turn: Turn, node: Node, item: Target, index: int) -> Event | None:
    """Reused or Held for the item of a map whose task computes the same only once at a time; None: it has to run."""
    target = node.spec.target
    if turn.spec.overwrite_cache or not is_serialized(item) or not isinstance(target, Target):
        return None
    inputs = inputs_of(turn, node, target, index)
    key = cache_key(turn, item, inputs)
    if not key:
        return None
    entry = CacheEntry.objects.filter(key=key).exclude(output_uri="").only("pk").first()
    if entry is not None or key in turn.cache_entries:
        return Reused(node.key, index=index)
    entry = _claimed(turn, node, item, key, index)
    if entry is None:
        return None
    if entry.output_uri:
        return Reused(node.key, index=index)
    return Held(node.key, until=turn.now + LOOK_AGAIN, index=index)


def _entry(turn: Turn, target: Target, key: str, *, holder: int | None = None, output_uri: str = "") -> CacheEntry:
    identifier = target.task.id if target.task is not None else None
    return CacheEntry(
        key=key,
        project=identifier.project if identifier else "",
        domain=identifier.domain if identifier else "",
        task_name=identifier.name if identifier else "",
        cache_version=cache_version(target),
        output_uri=output_uri,
        holder_id=holder,
        created_at=turn.now,
    )


def item_keys(turn: Turn, node: Node, size: int) -> list[str]:
    """Cache keys of a map's items, in order; empty if what is mapped is not cached."""
    array, target = node.spec.array, node.spec.target
    item = array.node.target if array is not None else None
    if not isinstance(item, Target) or not isinstance(target, Target) or item.task is None or not is_cached(item):
        return []
    inputs = data.read(turn.uris.inputs(node.key))
    return [cache_key(turn, item, item_inputs(target.node.array_node, inputs, index)) for index in range(size)]


def item_hits(turn: Turn, node: Node, size: int) -> dict[int, str]:
    """URIs of the outputs of those items that are in the cache, or had succeeded in the recovered execution."""
    recovered = _recovered_items(turn, node, size)
    keys = item_keys(turn, node, size)
    if not keys or turn.spec.overwrite_cache:
        return recovered
    rows = CacheEntry.objects.filter(key__in=set(keys)).exclude(output_uri="")
    uris = dict(rows.values_list("key", "output_uri"))
    uris |= {key: entry.output_uri for key, entry in turn.cache_entries.items()}  # written at the end of this turn
    return {index: uris[key] for index, key in enumerate(keys) if key in uris} | recovered


def _recovered_items(turn: Turn, node: Node, size: int) -> dict[int, str]:
    """Of a map over a task that had failed in the recovered execution, or in the one that this had recovered."""
    uris: dict[int, str] = {}
    for former in _recovered_executions(turn):
        rows = NodeExecution.objects.filter(execution_id=former, node_id=node.key, state__memory__size=size)
        found = rows.select_related("execution").first()
        if found is not None:
            uris = {**_succeeded_items(node, found), **uris}
    return uris


def _succeeded_items(node: Node, former: NodeExecution) -> dict[int, str]:
    """URIs of the outputs of the items that had succeeded: of those that publish, what carries their versions' ids."""
    attempts = TaskExecution.objects.filter(node=former, phase=AttemptPhase.SUCCEEDED, index__gte=0)
    found = dict(attempts.exclude(output_uri="").values_list("index", "output_uri"))
    memory = former.state["memory"]
    for refused in memory.get("bad", ()):  # the attempt may have succeeded, and what it wrote not
        found.pop(refused, None)
    item = node.spec.array.node.target if node.spec.array is not None else None
    if not memory.get("declared") and not (isinstance(item, Target) and item.item_outputs is not None):
        return found
    execution = former.execution
    uris = Uris.of(execution.project, execution.domain, execution.name)
    published = {index: uris.item_outputs(former.node_id, index) for index in found}
    return {index: uri for index, uri in published.items() if store().exists(uri)}


def _recovered_executions(turn: Turn) -> Iterator[int]:
    """The execution that is being recovered, the one that it had recovered, and so on."""
    mode, former = turn.execution.mode, turn.execution.reference_id
    while mode == ExecutionMode.RECOVERED and former is not None:
        yield former
        mode, former = Execution.objects.values_list("mode", "reference_id").get(pk=former)


def keep_item(turn: Turn, node: Node, index: int, output_uri: str) -> None:
    """Put the outputs of one item into the cache, at the end of the turn."""
    array, target = node.spec.array, node.spec.target
    item = array.node.target if array is not None else None
    if isinstance(item, Target) and isinstance(target, Target) and is_cached(item):
        inputs = inputs_of(turn, node, target, index)
        key = cache_key(turn, item, inputs)
        turn.cache_entries[key] = _entry(turn, item, key, output_uri=output_uri)


def write_entries(turn: Turn) -> None:
    if turn.cache_entries:
        CacheEntry.objects.bulk_create(
            [turn.cache_entries[key] for key in sorted(turn.cache_entries)],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["output_uri", "created_at"],
        )


def keep(turn: Turn, key: str, target: Target, output_uri: str) -> None:
    """Put a node's outputs into the cache, for others to find. Repeating it changes nothing."""
    row = NodeExecution.objects.filter(pk=turn.rows.pks[key]).values_list("cache_key", flat=True).first()
    if row:
        CacheEntry.objects.bulk_create(
            [_entry(turn, target, row, output_uri=output_uri)],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["output_uri", "created_at"],
        )
        turn.set(key, {"cache_status": catalog_pb2.CACHE_POPULATED})
