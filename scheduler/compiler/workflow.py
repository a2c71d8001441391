"""Compiles workflow templates to the closure that the engine runs: validated, with every edge written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flyteidl.core import compiler_pb2, interface_pb2, types_pb2, workflow_pb2

from artifacts.literals import describe_type, is_castable
from scheduler.compiler.bindings import END_NODE, START_NODE, UNKNOWN, Binder, Bound
from scheduler.compiler.conditions import check_branch
from scheduler.compiler.cycles import find_cycle
from scheduler.compiler.errors import Complaints, spell
from scheduler.compiler.requirements import Available, Key, inner_nodes, key_of
from scheduler.names import problem_with

MAX_ID = 100  # characters of the id of a node
Variables = Mapping[str, interface_pb2.Variable]


@dataclass
class _Interface:
    inputs: Variables | None  # None: takes what is bound to it
    outputs: Variables


def compile_template(
    template: workflow_pb2.WorkflowTemplate, available: Available, complaints: Complaints
) -> compiler_pb2.CompiledWorkflow:
    """One template without its sub-workflows. What is wrong goes to `complaints`; the result is then of no use."""
    return _Compilation(template, available, complaints).run()


@dataclass
class _Compilation:
    template: workflow_pb2.WorkflowTemplate
    available: Available
    complaints: Complaints
    nodes: dict[str, workflow_pb2.Node] = field(default_factory=dict)
    interfaces: dict[str, _Interface | None] = field(default_factory=dict)
    resolving: set[str] = field(default_factory=set)
    upstream: dict[str, set[str]] = field(default_factory=dict)
    downstream: dict[str, set[str]] = field(default_factory=dict)
    # A branch's inner nodes wait for nodes outside it; for finding cycles those are the branch's edges too.
    through_branches: dict[str, set[str]] = field(default_factory=dict)

    def run(self) -> compiler_pb2.CompiledWorkflow:
        compiled = compiler_pb2.CompiledWorkflow()
        compiled.template.CopyFrom(self.template)
        self.template = compiled.template
        if not self.template.nodes:
            self.complaints.add("", "the workflow has no nodes")
            return compiled
        self._check_interface(self.template.interface)
        top_level = self._index_nodes()
        for node in top_level:
            self._connect(node, both_ways=True)
        if self.template.HasField("failure_node"):
            self._prepare(self.template.failure_node)
            self._connect(self.template.failure_node, both_ways=False)
        self._connect_loose_ends(top_level)
        self._connect_outputs()
        self._check_cycles()
        self._write_sentinels()
        self._write_connections(compiled.connections)
        return compiled

    def _check_interface(self, interface: interface_pb2.TypedInterface) -> None:
        for what, variables in (("input", interface.inputs), ("output", interface.outputs)):
            for name, variable in variables.variables.items():
                if not name:
                    self.complaints.add("", f"an {what} of the workflow has no name")
                if variable.type.WhichOneof("type") is None:
                    self.complaints.add("", f'{what} "{name}" of the workflow has no type')

    def _index_nodes(self) -> list[workflow_pb2.Node]:
        kept = []
        for node in self.template.nodes:
            if not node.id:
                self.complaints.add("", "a node has no id")
            elif len(node.id) > MAX_ID:
                self.complaints.add(f"{node.id[:80]}...", f"its id has {len(node.id)} characters, at most {MAX_ID}")
            elif node.id in (START_NODE, END_NODE):
                continue  # a compiled template was sent: they are written anew
            elif node.id in self.nodes:
                self.complaints.add(node.id, "there are several nodes of this id")
            else:
                self._prepare(node)
                kept.append(node)
        return kept

    def _prepare(self, node: workflow_pb2.Node) -> None:
        """Inside a branch ids begin anew with every section: make them unique by the branch's own id."""
        self.nodes[node.id] = node
        if problem := problem_with(node.id):
            self.complaints.add(node.id[:80], f"its id {problem}")
        upstream_ids = sorted(node.upstream_node_ids)
        del node.upstream_node_ids[:]
        node.upstream_node_ids.extend(upstream_ids)
        if node.HasField("branch_node"):
            for inner in inner_nodes(node):
                inner.id = f"{node.id}-{inner.id}"
                self._prepare(inner)

    # Interfaces

    def outputs_of(self, node_id: str) -> Variables | None:
        if node_id == START_NODE:
            return self.template.interface.inputs.variables
        node = self.nodes.get(node_id)
        if node is None:
            return None
        interface = self._interface(node)
        return interface.outputs if interface else UNKNOWN

    def _interface(self, node: workflow_pb2.Node) -> _Interface | None:
        if node.id in self.interfaces:
            return self.interfaces[node.id]
        if node.id in self.resolving:
            return None  # depends on itself: told as a cycle
        self.resolving.add(node.id)
        interface = self._find_interface(node)
        self.resolving.discard(node.id)
        self.interfaces[node.id] = self._aliased(node, interface) if interface else None
        return self.interfaces[node.id]

    def _aliased(self, node: workflow_pb2.Node, interface: _Interface) -> _Interface:
        if not node.output_aliases:
            return interface
        outputs = dict(interface.outputs)
        for alias in node.output_aliases:
            if alias.var not in outputs:
                self.complaints.add(node.id, f'output "{alias.var}" is renamed, but does not exist')
            elif alias.alias in outputs:
                self.complaints.add(node.id, f'two outputs are called "{alias.alias}"')
            else:
                outputs[alias.alias] = outputs.pop(alias.var)
        return _Interface(interface.inputs, outputs)

    def _find_interface(self, node: workflow_pb2.Node) -> _Interface | None:
        which = node.WhichOneof("target")
        if which == "task_node":
            return self._task_interface(node)
        if which == "workflow_node":
            return self._workflow_interface(node)
        if which == "branch_node":
            return self._branch_interface(node)
        if which == "gate_node":
            return self._gate_interface(node)
        if which == "array_node":
            return self._array_interface(node)
        self.complaints.add(node.id, "does nothing: it has no task, workflow, branch, gate or array")
        return None

    def _task_interface(self, node: workflow_pb2.Node) -> _Interface | None:
        reference = node.task_node.reference_id
        task = self.available.tasks.get(key_of(reference))
        if task is None:
            self.complaints.add(node.id, self.available.says_missing("task", reference))
            return None
        return _Interface(task.interface.inputs.variables, task.interface.outputs.variables)

    def _workflow_interface(self, node: workflow_pb2.Node) -> _Interface | None:
        which = node.workflow_node.WhichOneof("reference")
        if which == "sub_workflow_ref":
            reference = node.workflow_node.sub_workflow_ref
            template = self.available.workflows.get(key_of(reference))
            if template is None:
                lacks = "is not part of what was registered"
                self.complaints.add(node.id, self.available.says_missing("sub-workflow", reference, lacks))
                return None
            return _Interface(template.interface.inputs.variables, template.interface.outputs.variables)
        if which == "launchplan_ref":
            reference = node.workflow_node.launchplan_ref
            launch_plan = self.available.launch_plans.get(key_of(reference))
            if launch_plan is None:
                self.complaints.add(node.id, self.available.says_missing("launch plan", reference))
                return None
            bound = {binding.var for binding in node.inputs}
            inputs = {
                name: parameter.var
                for name, parameter in launch_plan.inputs.parameters.items()
                if parameter.required or name in bound
            }
            return _Interface(inputs, launch_plan.outputs.variables)
        self.complaints.add(node.id, "refers to no workflow or launch plan")
        return None

    def _branch_interface(self, node: workflow_pb2.Node) -> _Interface:
        """What all cases give in common; conditions may use whatever is bound."""
        common: dict[str, interface_pb2.Variable] | None = None
        for inner in inner_nodes(node):
            interface = self._interface(inner)
            if interface is None:
                continue
            if common is None:
                common = dict(interface.outputs)
                continue
            common = {name: variable for name, variable in common.items() if name in interface.outputs}
            for name, variable in common.items():
                other = interface.outputs[name].type
                if not is_castable(variable.type, other) or not is_castable(other, variable.type):
                    types = f"{describe_type(variable.type)} and as {describe_type(other)}"
                    self.complaints.add(node.id, f'its cases give output "{name}" as {types}')
        return _Interface(None, common or {})

    def _gate_interface(self, node: workflow_pb2.Node) -> _Interface | None:
        gate = node.gate_node
        which = gate.WhichOneof("condition")
        if problem := problem_with(gate.signal.signal_id or gate.approve.signal_id):
            self.complaints.add(node.id, f"its signal {problem}")
        if which == "approve":
            # What waits for approval goes through unchanged.
            bound = Binder(self.outputs_of, self.complaints).check(node.id, node.inputs, None)
            return _Interface(None, bound.as_variables())
        if which == "signal":
            if gate.signal.type.WhichOneof("type") is None:
                self.complaints.add(node.id, "waits for an input without a type")
                return None
            if not gate.signal.output_variable_name:
                self.complaints.add(node.id, "waits for an input without a name")
                return None
            variable = interface_pb2.Variable(type=gate.signal.type)
            return _Interface({}, {gate.signal.output_variable_name: variable})
        if which == "sleep":
            return _Interface({}, {})
        self.complaints.add(node.id, "a gate that waits for nothing")
        return None

    def _array_interface(self, node: workflow_pb2.Node) -> _Interface | None:
        """Map tasks come with a list interface of their own; other targets keep theirs, and it is lifted here."""
        array = node.array_node
        interface = self._find_interface(array.node)
        if interface is None or not array.is_original_sub_node_interface.value:
            return interface
        some_may_fail = array.HasField("min_success_ratio") and array.min_success_ratio < 1
        inputs = {
            name: variable if name in array.bound_inputs else _list_of(variable.type)
            for name, variable in (interface.inputs or {}).items()
        }
        outputs = {
            name: _list_of(_optional(variable.type) if some_may_fail else variable.type)
            for name, variable in interface.outputs.items()
        }
        return _Interface(inputs, outputs)

    # Edges

    def _connect(self, node: workflow_pb2.Node, *, both_ways: bool, outer: str = "") -> None:
        interface = self._interface(node)
        for upstream_id in node.upstream_node_ids if both_ways else ():
            if upstream_id in self.nodes or upstream_id == START_NODE:
                self._edge(upstream_id, node.id)
            else:
                self.complaints.add(node.id, f'runs after node "{upstream_id}", which does not exist')
        bound = self._bind(node, interface) if interface else Bound()
        for upstream_id in bound.upstream:
            if both_ways:
                self._edge(upstream_id, node.id)
            else:
                self.upstream.setdefault(node.id, set()).add(upstream_id)
                if outer:
                    self.through_branches.setdefault(upstream_id, set()).add(outer)
        if node.HasField("branch_node"):
            check_branch(node, bound, self.complaints)
            for inner in inner_nodes(node):
                self._connect(inner, both_ways=False, outer=outer or node.id)

    def _bind(self, node: workflow_pb2.Node, interface: _Interface) -> Bound:
        return Binder(self.outputs_of, self.complaints).check(node.id, node.inputs, interface.inputs)

    def _edge(self, upstream_id: str, node_id: str) -> None:
        self.downstream.setdefault(upstream_id, set()).add(node_id)
        self.upstream.setdefault(node_id, set()).add(upstream_id)

    def _connect_loose_ends(self, top_level: Iterable[workflow_pb2.Node]) -> None:
        for node in top_level:
            if node.id not in self.upstream:
                self._edge(START_NODE, node.id)
            if node.id not in self.downstream:
                self._edge(node.id, END_NODE)

    def _connect_outputs(self) -> None:
        binder = Binder(self.outputs_of, self.complaints)
        bound = binder.check(END_NODE, self.template.outputs, self.template.interface.outputs.variables)
        for upstream_id in bound.upstream:
            self._edge(upstream_id, END_NODE)

    def _check_cycles(self) -> None:
        edges = {
            node_id: self.downstream.get(node_id, set()) | self.through_branches.get(node_id, set())
            for node_id in [*self.downstream, *self.through_branches]
        }
        cycle = find_cycle(edges)
        if cycle:
            self.complaints.add("", f"nodes wait for each other: {' -> '.join(cycle)}")

    def _write_sentinels(self) -> None:
        """Start and end node come first in a compiled template, as in Flyte's."""
        written = [node for node in self.template.nodes if node.id not in (START_NODE, END_NODE)]
        end = workflow_pb2.Node(id=END_NODE, inputs=self.template.outputs)
        copies = workflow_pb2.WorkflowTemplate(nodes=[workflow_pb2.Node(id=START_NODE), end, *written])
        del self.template.nodes[:]
        self.template.nodes.extend(copies.nodes)

    def _write_connections(self, connections: compiler_pb2.ConnectionSet) -> None:
        for ours, theirs in ((self.upstream, connections.upstream), (self.downstream, connections.downstream)):
            for node_id in sorted(ours):
                theirs[node_id].ids.extend(sorted(ours[node_id]))


def _list_of(literal_type: types_pb2.LiteralType) -> interface_pb2.Variable:
    return interface_pb2.Variable(type=types_pb2.LiteralType(collection_type=literal_type))


def _optional(literal_type: types_pb2.LiteralType) -> types_pb2.LiteralType:
    none = types_pb2.LiteralType(simple=types_pb2.NONE)
    return types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[literal_type, none]))


def compile_closure(
    primary: workflow_pb2.WorkflowTemplate,
    sub_workflows: Iterable[workflow_pb2.WorkflowTemplate],
    available: Available,
) -> compiler_pb2.CompiledWorkflowClosure:
    """The primary workflow with the sub-workflows and tasks it needs. Raises InvalidArgument with all that is wrong."""
    complaints = Complaints()
    templates: dict[Key, workflow_pb2.WorkflowTemplate] = {}
    for template in [*sub_workflows, *available.workflows.values()]:
        templates.setdefault(key_of(template.id), template)
    everything = Available(available.tasks, available.launch_plans, templates, available.unreadable)
    _check_recursion(primary, templates, complaints)
    closure = compiler_pb2.CompiledWorkflowClosure()
    closure.primary.CopyFrom(compile_template(primary, everything, complaints))
    for template in templates.values():
        within = complaints.within(f"sub-workflow {template.id.name}")
        closure.sub_workflows.append(compile_template(template, everything, within))
    complaints.raise_if_any(f"workflow {spell(primary.id)}")
    for task in available.tasks.values():
        closure.tasks.append(compiler_pb2.CompiledTask(template=task))
    return closure


def _check_recursion(
    primary: workflow_pb2.WorkflowTemplate,
    templates: Mapping[Key, workflow_pb2.WorkflowTemplate],
    complaints: Complaints,
) -> None:
    """A sub-workflow is unrolled where it is used, so it cannot contain itself."""
    contains = {
        ":".join(key): {":".join(used) for used in _sub_workflows_of(template)} for key, template in templates.items()
    }
    cycle = find_cycle({**contains, "": {":".join(used) for used in _sub_workflows_of(primary)}})
    if cycle:
        names = [name.split(":")[2] for name in cycle]
        complaints.add("", f"sub-workflows contain each other: {' -> '.join(names)}")


def _sub_workflows_of(template: workflow_pb2.WorkflowTemplate) -> set[Key]:
    found: set[Key] = set()
    waiting = list(template.nodes)
    if template.HasField("failure_node"):
        waiting.append(template.failure_node)
    while waiting:
        node = waiting.pop()
        if node.workflow_node.HasField("sub_workflow_ref"):
            found.add(key_of(node.workflow_node.sub_workflow_ref))
        waiting.extend(inner_nodes(node))
    return found
