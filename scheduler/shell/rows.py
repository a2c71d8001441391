"""Node rows to and from the engine's nodes. Only the rows that an evaluation touches are ever loaded."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

from django.db import connection
from flyteidl.core import execution_pb2, tasks_pb2

from scheduler import graphs
from scheduler.engine.graph import END_NODE, START_NODE, Kind, NodeSpec, Scope, items_scope
from scheduler.engine.memory import Memory
from scheduler.engine.phases import ACTIVE, TERMINAL, Phase
from scheduler.engine.scopes import body_of
from scheduler.engine.state import ROOT, Failure, Node, child_key
from scheduler.models import Execution, NodeExecution
from scheduler.shell.origins import Origins

COLUMNS = (
    "id", "node_id", "spec_node_id", "parent_id", "phase", "waiting_on", "parked", "attempts", "user_failures",
    "system_failures", "output_uri", "dynamic_uri", "state", "wake_at", "started_at", "fingerprint", "cache_key",
)  # fmt: skip
_COLUMNS = ", ".join(COLUMNS)
_WITH_ANCESTORS = f"""
    WITH RECURSIVE up AS (
        SELECT {_COLUMNS} FROM scheduler_nodeexecution WHERE id = ANY(%s)
        UNION
        SELECT {", ".join(f"p.{name}" for name in COLUMNS)}
        FROM scheduler_nodeexecution p JOIN up ON p.id = up.parent_id
    ) SELECT {_COLUMNS} FROM up ORDER BY id
"""  # noqa: S608 - constants
_BY_KEY = f"SELECT {_COLUMNS} FROM scheduler_nodeexecution WHERE execution_id = %s AND node_id = ANY(%s) ORDER BY id"  # noqa: S608
_ACTIVE = f"""
    SELECT {_COLUMNS} FROM scheduler_nodeexecution WHERE execution_id = %s AND phase = ANY(%s) ORDER BY id
"""  # noqa: S608
_PARKED = """
    SELECT id FROM scheduler_nodeexecution WHERE execution_id = %s AND parked ORDER BY id LIMIT %s
"""


class Rows(Mapping[str, Node]):
    """The engine's nodes of one execution, by key. A key not looked up before is asked of the database once."""

    def __init__(self, execution: Execution, body: Scope) -> None:
        self.execution = execution
        self.pks: dict[str, int] = {}
        self.output_uris: dict[str, str] = {}
        self.dynamic_uris: dict[str, str] = {}
        self.fingerprints: dict[str, str] = {}
        self.cache_keys: dict[str, str] = {}
        self.started: dict[str, datetime | None] = {}
        self.origins: dict[str, Origins] = {}
        self._keys: dict[int, str] = {}
        if "origins" in execution.counters:
            self.origins[ROOT] = execution.counters["origins"]
        self._nodes: dict[str, Node] = {ROOT: _root(execution, body)}
        self._absent: set[str] = set()

    def __getitem__(self, key: str) -> Node:
        node: Node | None = self.get(key)
        if node is None:
            raise KeyError(key)
        return node

    def get(self, key: str, default: Any = None) -> Any:
        node = self._nodes.get(key)
        if node is None and key not in self._absent:
            self.load([key])
            node = self._nodes.get(key)
        return default if node is None else node

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def put(self, nodes: Mapping[str, Node]) -> None:
        self._nodes.update(nodes)

    def key_of(self, pk: int) -> str:
        return self._keys[pk]

    def inserted(self, key: str, pk: int) -> None:
        self.pks[key] = pk
        self._keys[pk] = key

    def load(self, keys: Iterable[str]) -> None:
        """Rows that exist; the other keys are remembered as absent."""
        wanted = [key for key in keys if key not in self._nodes and key not in self._absent]
        if not wanted:
            return
        self._absent.update(wanted)
        self._adopt(_BY_KEY, [self.execution.pk, wanted])

    def load_pks(self, pks: Collection[int]) -> None:
        """Rows by primary key, with all their ancestors."""
        missing = [pk for pk in pks if pk not in self._keys]
        if missing:
            self._adopt(_WITH_ANCESTORS, [missing])

    def load_active(self) -> None:
        self._adopt(_ACTIVE, [self.execution.pk, sorted(ACTIVE)])

    def parked(self, count: int) -> list[str]:
        """Keys of the nodes that have waited longest for a slot."""
        moved = sum(not node.parked for node in self._nodes.values())  # in this turn, for all that the database knows
        with connection.cursor() as cursor:
            cursor.execute(_PARKED, [self.execution.pk, count + moved])
            pks = [pk for (pk,) in cursor.fetchall()]
        self.load_pks(pks)
        old = [self._keys[pk] for pk in pks]
        new = [key for key in self._nodes if key not in self.pks]
        return [key for key in (*old, *new) if self._nodes[key].parked][:count]

    def expect_new_children(self, parent: Node, body: Scope) -> None:
        """The parent begins: none of its children can have a row yet."""
        self._absent.update(child_key(parent, spec_id) for spec_id in body.nodes)
        self._absent.update(child_key(parent, spec_id) for spec_id in (START_NODE, END_NODE))

    def load_downstream(self, keys: Iterable[str]) -> None:
        """The rows that the end of these nodes, or of their parents in turn, can touch."""
        wanted: set[str] = set()
        for key in keys:
            node = self._nodes.get(key)
            while node is not None and node.parent is not None:
                parent = self._nodes[node.parent]
                for spec_id in node.spec.downstream:
                    if body_of(parent).nodes[spec_id].upstream == (node.spec.id,) and node.phase not in TERMINAL:
                        self._absent.add(child_key(parent, spec_id))  # only this node's end can make it appear
                    else:
                        wanted.add(child_key(parent, spec_id))
                self._absent.add(child_key(node, END_NODE))
                node = parent
        self._absent.add(END_NODE)
        self.load(wanted)

    def ancestors(self, node: Node) -> Iterator[Node]:
        while node.parent is not None:
            node = self._nodes[node.parent]
            yield node

    def active_below(self, key: str) -> tuple[str, ...]:
        self.load_active()
        return tuple(
            node.key
            for node in self._nodes.values()
            if node.phase in ACTIVE and any(above.key == key for above in self.ancestors(node))
        )

    def _adopt(self, sql: str, parameters: list[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            self.adopt(cursor.fetchall())

    def adopt(self, records: Sequence[tuple[Any, ...]]) -> None:
        """Take in rows of COLUMNS; ancestors that are not known yet are loaded."""
        unknown = {record[3] for record in records} - self._keys.keys() - {record[0] for record in records} - {None}
        if unknown:
            self.load_pks(unknown)
        for record in sorted(records, key=itemgetter(0)):
            if record[0] not in self._keys:
                self._adopt_one(record)

    def _adopt_one(self, record: tuple[Any, ...]) -> None:
        (pk, key, spec_id, parent_pk, phase, waiting_on, parked, attempts, user_failures, system_failures) = record[:10]
        output_uri, dynamic_uri, state, wake_at, started_at, fingerprint, cache_key = record[10:]
        parent = self._nodes[self._keys[parent_pk] if parent_pk is not None else ROOT]
        spec = (parent.body or _empty()).spec(spec_id)
        stored = state if isinstance(state, dict) else json.loads(state)
        if "origins" in stored:
            self.origins[key] = stored.pop("origins")
        unpacked = unpack(stored)
        body = _body(spec, dynamic_uri, unpacked) if attempts else None
        self.inserted(key, pk)
        self.output_uris[key], self.dynamic_uris[key], self.started[key] = output_uri, dynamic_uri, started_at
        self.fingerprints[key], self.cache_keys[key] = fingerprint, cache_key
        self._nodes[key] = Node(
            key=key,
            spec=spec,
            parent=parent.key,
            phase=Phase(phase),
            waiting_on=waiting_on,
            parked=parked,
            attempts=attempts,
            user_failures=user_failures,
            system_failures=system_failures,
            body=body,
            wake_at=wake_at,
            **unpacked,
        )


def mapped_task(execution: Execution, node: NodeExecution) -> tasks_pb2.TaskTemplate | None:
    """The task whose items a map node runs."""
    rows = Rows(execution, graphs.workflow_scope(execution.workflow_id))
    rows.load_pks([node.pk])
    array = rows[node.node_id].spec.array
    target = array.node.target if array is not None else None
    return target.task if isinstance(target, graphs.Target) else None


def _body(spec: NodeSpec, dynamic_uri: str, unpacked: Mapping[str, Any]) -> Scope | None:
    if dynamic_uri:
        return graphs.dynamic_scope(dynamic_uri)
    if spec.array is not None and spec.array.node.kind is not Kind.TASK:
        return items_scope(spec.array.node, _size(unpacked))
    return spec.body


def _size(unpacked: Mapping[str, Any]) -> int:
    items = unpacked["memory"].items if "memory" in unpacked else None
    return items.size if items is not None else 0


def _empty() -> Scope:
    return Scope(nodes={})


def pack(node: Node) -> dict[str, Any]:
    """What has no column of its own; only what differs from the default."""
    state: dict[str, Any] = {}
    if node.skip:
        state["skip"] = True
    if node.has_slot:
        state["has_slot"] = True
    if node.open:
        state["open"] = node.open
    if node.closing is not None:
        state["closing"] = int(node.closing)
    if node.failure is not None:
        state["failure"] = {name: value for name, value in asdict(node.failure).items() if value}
    if memory := node.memory.pack():
        state["memory"] = memory
    return state


def unpack(state: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(state)
    if "memory" in values:
        values["memory"] = Memory.unpack(values["memory"])
    if "closing" in values:
        values["closing"] = Phase(values["closing"])
    if "failure" in values:
        values["failure"] = Failure(**{"code": "", "message": "", **values["failure"]})
    return values


def _root(execution: Execution, body: Scope) -> Node:
    counters = dict(execution.counters)
    phase = Phase(counters.pop("phase", Phase.UNDEFINED))
    attempts = counters.pop("attempts", 0)
    counters.pop("breakdowns", None)
    counters.pop("store_fails_since", None)
    counters.pop("origins", None)
    spec = NodeSpec(id=ROOT, kind=Kind.WORKFLOW, body=body)
    return Node(key=ROOT, spec=spec, parent=None, phase=phase, attempts=attempts, body=body, **unpack(counters))


def pack_root(root: Node) -> dict[str, Any]:
    return {"phase": int(root.phase), "attempts": root.attempts, **pack(root)}


def error_of(failure: Failure) -> bytes:
    kinds = execution_pb2.ExecutionError
    error = execution_pb2.ExecutionError(
        code=failure.code,
        message=failure.message,
        error_uri=failure.uri,
        kind=kinds.SYSTEM if failure.system else kinds.USER,
    )
    return error.SerializeToString()
