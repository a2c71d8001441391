"""The cache: outputs of tasks that need not be computed again, under all that they depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import connection
from flyteidl.core import catalog_pb2, literals_pb2, tasks_pb2

from artifacts.arrays import array_of
from artifacts.literals import digest
from artifacts.prepared import prepared
from scheduler.authority import Place
from scheduler.engine.commands import Submit
from scheduler.engine.events import Event, Held, Prepared, Reused
from scheduler.engine.kinds.array import items_of
from scheduler.engine.memory import Memory
from scheduler.engine.phases import TERMINAL
from scheduler.engine.state import Node
from scheduler.graphs import Target
from scheduler.models import CacheEntry
from scheduler.phases import NODE_TERMINAL
from scheduler.shell.flush import insert_new_nodes
from scheduler.shell.item_blocks import inputs_of
from scheduler.shell.items import at_hand, item_inputs
from scheduler.shell.ready import Ready
from scheduler.shell.turn import NodeFields, Turn

LOOK_AGAIN = timedelta(seconds=2)  # while somebody else computes what is wanted


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
    place = turn.execution.project, turn.execution.domain
    return entry_key(task, cache_version(target), inputs, place=place)


def entry_key(task: tasks_pb2.TaskTemplate, version: str, inputs: literals_pb2.LiteralMap, *, place: Place) -> str:
    """The digest under which what the task computes of these inputs is kept, for executions of that place."""
    project, domain = place
    elsewhere = [f"in {project}/{domain}"] if place != (task.id.project, task.id.domain) else []
    ignored = set(task.metadata.cache_ignore_input_vars)
    parts = [
        *elsewhere,
        task.id.project,
        task.id.domain,
        task.id.name,
        version,
        hashlib.sha256(task.interface.SerializeToString(deterministic=True)).hexdigest(),
        *(f"{name}={digest(inputs.literals[name])}" for name in sorted(inputs.literals) if name not in ignored),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Want(NamedTuple):
    """A node, or an item of a map, that asks the cache."""

    node: Node
    target: Target  # what is run
    key: str  # of the entry
    item: int = -1  # its number; -1: the node itself

    @property
    def asks(self) -> tuple[str, int]:
        return self.node.key, self.item


def look_up(turn: Turn, wants: Sequence[Want], kept: Mapping[str, str] | None = None) -> dict[tuple[str, int], Event]:
    """Prepared from the cache, or Held while somebody else computes the same; those not named have to compute it.
    `kept`: what the cache has of them, where that was asked for several turns (`kept_for`).
    """
    statuses = catalog_pb2
    if turn.spec.overwrite_cache:
        for want in wants:
            turn.set(want.node.key, {"cache_key": want.key, "cache_status": statuses.CACHE_SKIPPED})
        return {}
    uris, held = _ask(turn, wants, kept)
    answers: dict[tuple[str, int], Event] = {}
    for want in wants:
        key = want.node.key
        if want.key in uris:
            hit = NodeFields(cache_key=want.key, cache_status=statuses.CACHE_HIT, output_uri=uris[want.key])
            turn.set(key, hit)
            answers[want.asks] = Prepared(key, cached=True)
            continue
        turn.set(key, {"cache_key": want.key, "cache_status": statuses.CACHE_MISS})
        if want.asks in held:
            answers[want.asks] = Held(key, until=turn.now + LOOK_AGAIN)
    return answers


def ask_for_items(turn: Turn, submits: Sequence[Submit]) -> dict[tuple[str, int], Event]:
    """Reused or Held for items of maps whose task computes the same only once at a time; the others have to run."""
    wants = [] if turn.spec.overwrite_cache else [want for each in submits for want in _want(turn, each)]
    uris, held = _ask(turn, wants)
    answers: dict[tuple[str, int], Event] = {}
    for want in wants:
        if want.key in uris:
            answers[want.asks] = Reused(want.node.key, index=want.item)
        elif want.asks in held:
            answers[want.asks] = Held(want.node.key, until=turn.now + LOOK_AGAIN, index=want.item)
    return answers


def _want(turn: Turn, submit: Submit) -> Iterator[Want]:
    node = turn.rows[submit.key]
    array, target = node.spec.array, node.spec.target
    item = array.node.target if array is not None else None
    if submit.index < 0 or not isinstance(item, Target) or not isinstance(target, Target) or not is_serialized(item):
        return
    key = cache_key(turn, item, inputs_of(turn, node, target, submit.index))
    if key:
        yield Want(node, item, key, submit.index)


def _ask(
    turn: Turn, wants: Sequence[Want], kept: Mapping[str, str] | None = None
) -> tuple[dict[str, str], set[tuple[str, int]]]:
    """URIs of outputs, by the key of the entry; and who has to wait."""
    uris = _outputs(turn, {want.key for want in wants}, kept)
    claiming = [want for want in wants if want.key not in uris and is_serialized(want.target)]
    if not claiming:
        return uris, set()
    computed, held = claim(turn, claiming)
    return uris | computed, held


def _outputs(turn: Turn, keys: Collection[str], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the cache has, and what this turn is about to add."""
    if not keys:
        return {}
    added = {key: turn.cache_entries[key].output_uri for key in keys if key in turn.cache_entries}
    there = kept_for(keys) if kept is None else {key: kept[key] for key in keys if key in kept}
    return there | added


_KEPT = "SELECT key, output_uri FROM scheduler_cacheentry WHERE key = ANY(%s::text[]) AND output_uri <> ''"


def kept_for(keys: Collection[str]) -> dict[str, str]:
    """Outputs that the cache has, by the keys of their entries."""
    if not keys:
        return {}
    with prepared() as cursor:
        cursor.execute(_KEPT, [array_of(sorted(set(keys)))])
        return dict(cursor.fetchall())


def claim(turn: Turn, wants: Sequence[Want]) -> tuple[dict[str, str], set[tuple[str, int]]]:
    """Claim the entries for those who want to compute them. Returns outputs that have come meanwhile, by the entry's
    key, and those who have to wait for another; all others are holders now.

    The unique key decides between two that ask at once. Two turns that claim several entries do not wait in a circle:
    a turn waits for others only at its first claims, in the order of the keys. Later it leaves alone what is in the
    hands of another at this moment, and asks again.
    """
    insert_new_nodes(turn)  # a claim refers to its node
    waits, turn.has_claimed = not turn.has_claimed, True
    by_key: dict[str, list[Want]] = {}
    for want in sorted(wants, key=lambda want: want.key):
        by_key.setdefault(want.key, []).append(want)
    free = _lock(list(by_key), waits=waits)
    claims = [_claim_of(turn, by_key[key][0]) for key in by_key if key in free]
    CacheEntry.objects.bulk_create(claims, ignore_conflicts=True)
    # The holders are read afterwards: what is joined to a row that one had to wait for is as it was before the wait.
    rows = CacheEntry.objects.select_for_update(skip_locked=not waits).filter(key__in=free).order_by("key")
    entries = {entry.key: entry for entry in rows}
    held: set[tuple[str, int]] = set()
    for key, asking in by_key.items():
        entry = entries.get(key)
        if entry is not None and entry.output_uri:
            continue
        held.update(want.asks for want in asking if entry is None or not _holds(turn, entry, want))
    return {key: entry.output_uri for key, entry in entries.items() if entry.output_uri}, held


_LOCK = "SELECT key, pg_advisory_xact_lock(hashtextextended('cache:' || key, 0)) FROM unnest(%s::text[]) AS key"
_TRY = "SELECT key FROM unnest(%s::text[]) AS key WHERE pg_try_advisory_xact_lock(hashtextextended('cache:' || key, 0))"


def _lock(keys: list[str], *, waits: bool) -> set[str]:
    """Those of the keys that nobody else is claiming just now."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK if waits else _TRY, [keys])
        return {row[0] for row in cursor.fetchall()}


def _claim_of(turn: Turn, want: Want) -> CacheEntry:
    entry = _entry(turn, want.target, want.key, holder=turn.rows.pks[want.node.key])
    entry.holder_item = want.item
    return entry


def _holds(turn: Turn, entry: CacheEntry, want: Want) -> bool:
    """Whether the one who wants it is the holder, or is now, in place of one that cannot compute it any more."""
    pk = turn.rows.pks[want.node.key]
    if (entry.holder_id, entry.holder_item) == (pk, want.item):
        return True
    if _is_held(turn, entry):
        return False
    entry.holder_id, entry.holder_item, entry.created_at = pk, want.item, turn.now
    entry.save(update_fields=["holder_id", "holder_item", "created_at"])
    return True


def _is_held(turn: Turn, entry: CacheEntry) -> bool:
    """Whether the claim's holder may still compute it."""
    holder = entry.holder
    if holder is None:
        return False
    if holder.execution_id == turn.execution.pk:  # this turn may know better than the database
        node = turn.rows[holder.node_id]
        return node.phase not in TERMINAL and entry.holder_item not in _given_up(node.memory)
    remembered = Memory.unpack(holder.state.get("memory", {}))
    return holder.phase not in NODE_TERMINAL and entry.holder_item not in _given_up(remembered)


def _given_up(memory: Memory) -> list[int]:
    """Items of a map that failed for good."""
    return memory.items.bad if memory.items is not None else []


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
    array_node = target.node.array_node
    inputs = at_hand(array_node, turn.literals.read(turn.uris.inputs(node.key)))
    return [cache_key(turn, item, item_inputs(array_node, inputs, index)) for index in range(size)]


def cached_items(turn: Turn, one: Ready) -> tuple[dict[int, str], bool]:
    """URIs of the outputs of those items of a map that are in the cache; and whether there may be others later."""
    keys = item_keys(turn, one.node, one.size)
    if not keys or turn.spec.overwrite_cache:
        return {}, bool(keys)
    uris = _outputs(turn, keys)
    return {index: uris[key] for index, key in enumerate(keys) if key in uris}, True


def items_from_cache(turn: Turn, node: Node, items: Collection[int]) -> dict[int, str]:
    """URIs of the outputs of those items that somebody else has computed meanwhile."""
    keys = item_keys(turn, node, items_of(node).size) if items else []
    wanted = {index: keys[index] for index in items} if keys else {}
    uris = _outputs(turn, wanted.values())
    return {index: uris[key] for index, key in wanted.items() if key in uris}


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
    """Put a node's outputs into the cache, for others to find: at the end of the turn."""
    entry_key = turn.rows.cache_keys.get(key)
    if entry_key:
        turn.cache_entries[entry_key] = _entry(turn, target, entry_key, output_uri=output_uri)
        turn.set(key, {"cache_status": catalog_pb2.CACHE_POPULATED})
