"""What a node computes, and from what: told by content, so that it is found again wherever it stands.

A fingerprint is the digest of the template (which task, launch plan, workflow or gate, in which version) followed by a
digest of the template and the inputs as they were written. The ids of a dynamic workflow's nodes say nothing: they are
numbers in the order in which the task happened to name its nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

from flyteidl.core import workflow_pb2

from scheduler.engine.graph import Kind, NodeSpec, Scope
from scheduler.graphs import Source, Target

TEMPLATE = 16  # letters of a fingerprint that are the template's


def fingerprint(spec: NodeSpec, inputs: bytes, about: Iterable[str] = ()) -> str:
    """Empty for a node whose template is not known. `about`: what else the outcome depends on."""
    template = template_of(spec)
    if not template:
        return ""
    whole = hashlib.blake2b(template.encode(), digest_size=16)
    for part in about:
        whole.update(f"{len(part)}:{part}".encode())
    whole.update(b"\0" + inputs)
    return template + whole.hexdigest()


def template_of(spec: NodeSpec) -> str:
    """Digest of what the node runs, in TEMPLATE letters. Its own name and place do not count, nor its retries."""
    if not isinstance(spec.target, Target):
        return ""
    return _template(spec.kind, spec.target, spec.body, spec.array.node if spec.array is not None else None)


@lru_cache(maxsize=4096)
def _template(kind: Kind, target: Target, body: Scope | None, item: NodeSpec | None) -> str:
    parts = list(_parts(kind, target, body, item))
    return _digest(kind.value.encode(), *parts) if parts else ""


def _parts(kind: Kind, target: Target, body: Scope | None, item: NodeSpec | None) -> Iterator[bytes]:
    node = target.node
    match kind:
        case Kind.TASK:
            if target.task is not None:
                yield target.task.SerializeToString(deterministic=True)
                yield node.task_node.overrides.SerializeToString(deterministic=True)
        case Kind.LAUNCH_PLAN:
            yield node.workflow_node.launchplan_ref.SerializeToString(deterministic=True)
        case Kind.WORKFLOW:
            yield node.workflow_node.sub_workflow_ref.SerializeToString(deterministic=True)
            yield from _scope(body)
        case Kind.BRANCH:
            yield node.branch_node.SerializeToString(deterministic=True)
            yield from _scope(body)
        case Kind.GATE:
            yield node.gate_node.SerializeToString(deterministic=True)
        case Kind.ARRAY:
            yield from _array(node.array_node, item)


def _scope(body: Scope | None) -> Iterator[bytes]:
    """A workflow that a dynamic task wrote has no version that could be trusted: all that is in it counts."""
    if body is None:
        return
    specs = [*(body.nodes[name] for name in sorted(body.nodes)), *([body.failure_node] if body.failure_node else [])]
    for spec in specs:
        if isinstance(spec.target, Target):
            yield spec.target.node.SerializeToString(deterministic=True)
            yield template_of(spec).encode()
    if isinstance(body.source, Source):
        yield from (binding.SerializeToString(deterministic=True) for binding in body.source.outputs)


def _array(array: workflow_pb2.ArrayNode, item: NodeSpec | None) -> Iterator[bytes]:
    """How many items run at a time does not count; what becomes of those that fail does."""
    inner = template_of(item) if item is not None else ""
    if not inner:
        return
    rest = workflow_pb2.ArrayNode()
    rest.CopyFrom(array)
    rest.ClearField("node")
    rest.ClearField("parallelism")
    yield inner.encode()
    yield rest.SerializeToString(deterministic=True)


def _digest(*parts: bytes) -> str:
    whole = hashlib.blake2b(digest_size=TEMPLATE // 2)
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return whole.hexdigest()
