"""The rows of launches, with their inputs and lineage: of many launches by as many statements as of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from artifacts.exceptions import AlreadyExists
from artifacts.inserting import insert_rows
from artifacts.models import ArtifactVersion
from artifacts.store import store
from lineage.actions.record import Use, record_all_consumed, record_links
from lineage.models import ExecutionLink, LinkKind
from scheduler.actions.launch_inputs import Gathered
from scheduler.models import Execution, ExecutionMode
from scheduler.wake import wake_execution

_REFERENCE_LINKS = {ExecutionMode.RELAUNCH: LinkKind.RELAUNCH, ExecutionMode.RECOVERED: LinkKind.RECOVER}


class NotTogether(Exception):
    """What is launched counts, or is told, what was launched before it: it has to be written at once."""


@dataclass(frozen=True)
class Launched:
    """`trigger`: the version for which the trigger of `trigger_id` launched."""

    execution: Execution
    gathered: Gathered
    trigger: ArtifactVersion | None = None
    trigger_id: int | None = None

    def uses(self) -> list[Use]:
        found = sorted(self.gathered.resolved.items())
        return [Use(one.version.pk, variable=name, via=one.via) for name, one in found]

    def links(self) -> Iterator[ExecutionLink]:
        """By what it was started."""
        run = self.execution
        if self.trigger is not None and self.trigger_id is not None:
            detail = {"version_id": self.trigger.pk, "version": self.trigger.version}
            yield _link(run, LinkKind.TRIGGER, f"trigger:{self.trigger_id}", detail)
        if run.parent_node is not None:
            parent = run.parent_node
            yield _link(run, LinkKind.PARENT, parent.execution.key, {"node_id": parent.node_id})
        if run.reference is not None and run.mode in _REFERENCE_LINKS:
            yield _link(run, _REFERENCE_LINKS[ExecutionMode(run.mode)], run.reference.key, {})


def _link(execution: Execution, kind: LinkKind, source: str, detail: dict[str, object]) -> ExecutionLink:
    at = execution.created_at
    return ExecutionLink(execution_key=execution.key, kind=kind, source=source, detail=detail, at=at)


def write(launches: Sequence[Launched]) -> None:
    """In the caller's transaction, which wakes the engine. AlreadyExists where a name is taken: to be undone then."""
    executions = [one.execution for one in launches]
    insert_rows(executions, unless_there=True)
    for execution in executions:
        if execution.pk is None:  # its name is all of it that others may have too
            raise AlreadyExists(f"an execution {execution.key} already exists")
    # After the insert: whoever loses the race for a name must not overwrite the winner's inputs.
    for one in launches:
        store().put(one.execution.inputs_uri, one.gathered.inputs.SerializeToString(deterministic=True))
    record_all_consumed([(one.execution.key, one.execution.created_at, use) for one in launches for use in one.uses()])
    record_links([link for one in launches for link in one.links()])
    for execution in executions:
        wake_execution(execution.pk)


_gathered: ContextVar[list[Launched] | None] = ContextVar("gathered", default=None)


@contextmanager
def written_together() -> Iterator[None]:
    """What is launched in here is written at its end, as by `write`; until then executions have no key."""
    launches: list[Launched] = []
    token = _gathered.set(launches)
    try:
        yield
    finally:
        _gathered.reset(token)
    write(launches)


def is_gathering() -> bool:
    return _gathered.get() is not None


def gather_up(launched: Launched) -> None:
    """In `written_together`."""
    launches = _gathered.get()
    if launches is None:
        raise RuntimeError("nobody writes it: see written_together")
    launches.append(launched)
