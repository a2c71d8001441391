"""One turn of one execution under its lock: what was loaded, what has changed, what is to be written and sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypedDict

from flyteidl.admin import execution_pb2 as admin_execution
from flyteidl.core import identifier_pb2

from lineage.actions.record import Use
from scheduler import graphs
from scheduler.asked_once import once
from scheduler.authority import Authority
from scheduler.engine.commands import Command
from scheduler.engine.evaluate import evaluate
from scheduler.engine.evaluation import Move
from scheduler.engine.events import Event
from scheduler.engine.graph import Kind
from scheduler.engine.state import Node, State
from scheduler.executors import registry
from scheduler.models import CacheEntry, Execution, Gate, Lane, TaskExecution
from scheduler.placement import Cluster, Service
from scheduler.shell.data import Literals
from scheduler.shell.formers import Recovery, recovery_of
from scheduler.shell.rows import Rows
from scheduler.uris import Uris

ACTOR = "system:engine"


class NodeFields(TypedDict, total=False):
    """Columns of a node that only the shell knows."""

    input_uri: str
    output_uri: str
    deck_uri: str
    dynamic_uri: str
    cache_status: int
    cache_key: str
    fingerprint: str
    recovered_from: int


@dataclass
class Turn:
    execution: Execution
    now: datetime
    moves: list[Move] = field(default_factory=list)
    changed: dict[str, Node] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)  # phase of the changed rows as they were read
    fields: dict[str, NodeFields] = field(default_factory=dict)
    handled: list[int] = field(default_factory=list)  # attempts
    decks: dict[int, str] = field(default_factory=dict)  # of those that have one
    attempts: list[tuple[str, TaskExecution]] = field(default_factory=list)
    lanes: dict[int, Lane] = field(default_factory=dict)  # those that the attempts wait in
    cancels: list[tuple[str, int]] = field(default_factory=list)  # (node key, item or -1)
    gates: list[tuple[str, Gate]] = field(default_factory=list)
    consumed: list[Use] = field(default_factory=list)
    cache_entries: dict[str, CacheEntry] = field(default_factory=dict)
    ended_children: list[int] = field(default_factory=list)
    decided_gates: list[int] = field(default_factory=list)
    more_to_do: bool = False  # another turn has to follow
    has_claimed: bool = False  # entries of the cache
    outputs_uri: str = ""  # of the whole execution, once collected
    literals: Literals = field(default_factory=Literals)
    told: Sequence[Any] = ()  # what registry.questions were answered with the lock

    def __post_init__(self) -> None:
        self.scope = graphs.workflow_scope(self.execution.workflow_id)
        self.rows = Rows(self.execution, self.scope)

    @cached_property
    def authority(self) -> Authority:
        """Of whoever launched it, as it is at this turn: what is found out while running is asked of it."""
        execution = self.execution
        return Authority(execution.principal, (execution.project, execution.domain), execution.principal_project)

    @cached_property
    def spec(self) -> admin_execution.ExecutionSpec:
        return admin_execution.ExecutionSpec.FromString(bytes(self.execution.spec))

    @cached_property
    def launch_plan(self) -> str:
        """The name of the launch plan it was started by; of a single task empty."""
        named = self.spec.launch_plan
        return named.name if named.resource_type != identifier_pb2.TASK else ""

    @cached_property
    def clusters(self) -> list[Cluster]:
        """Those that are configured: attempts of one turn see the same ones."""
        return once("clusters", partial(registry.clusters, self.told))

    @cached_property
    def services(self) -> list[Service]:
        """Connector services, likewise."""
        return once("services", registry.services)

    @cached_property
    def uris(self) -> Uris:
        execution = self.execution
        prefix = self.spec.raw_output_data_config.output_location_prefix
        return Uris.of(execution.project, execution.domain, execution.name, prefix)

    @cached_property
    def workflow_name(self) -> str:
        source = self.scope.source
        return source.identifier.name if isinstance(source, graphs.Source) and source.identifier is not None else ""

    @cached_property
    def recovery(self) -> Recovery | None:
        return recovery_of(self.execution)

    @cached_property
    def state(self) -> State:
        return State(self.rows, max_parallelism=self.spec.max_parallelism)

    def evaluate(self, events: Iterable[Event]) -> list[Command]:
        """Let the engine decide, and take over what it changed. Returns its commands."""
        outcome = evaluate(self.state, events, self.now)
        for key, node in outcome.nodes.items():
            if key not in self.expected and key in self.rows.pks:
                self.expected[key] = self.rows[key].phase
            self.changed[key] = node
        self.rows.put(outcome.nodes)
        self.moves += outcome.moves
        return list(outcome.commands)

    def set(self, key: str, values: NodeFields) -> None:
        self.fields.setdefault(key, {}).update(values)
        if "output_uri" in values:
            self.rows.output_uris[key] = values["output_uri"]
        if "fingerprint" in values:
            self.rows.fingerprints[key] = values["fingerprint"]
        if "cache_key" in values:
            self.rows.cache_keys[key] = values["cache_key"]

    def owner(self, node: Node) -> Node:
        """The parent whose inputs and nodes the node's bindings mean: branches have no scope of their own for data."""
        parent = self.rows[node.parent or ""]
        while parent.spec.kind in (Kind.BRANCH, Kind.ARRAY):
            parent = self.rows[parent.parent or ""]
        return parent

    def inputs_uri(self, node: Node) -> str:
        return self.uris.inputs(node.key) if node.key else self.execution.inputs_uri
