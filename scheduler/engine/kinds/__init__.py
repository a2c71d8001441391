from __future__ import annotations

from collections.abc import Mapping

from scheduler.engine.graph import Kind
from scheduler.engine.kinds.array import ArrayKind
from scheduler.engine.kinds.base import NodeKind
from scheduler.engine.kinds.branch import BranchKind
from scheduler.engine.kinds.gate import GateKind
from scheduler.engine.kinds.launch_plan import LaunchPlanKind
from scheduler.engine.kinds.task import TaskKind
from scheduler.engine.kinds.workflow import WorkflowKind

KINDS: Mapping[Kind, NodeKind] = {
    Kind.TASK: TaskKind(),
    Kind.WORKFLOW: WorkflowKind(),
    Kind.GATE: GateKind(),
    Kind.BRANCH: BranchKind(),
    Kind.LAUNCH_PLAN: LaunchPlanKind(),
    Kind.ARRAY: ArrayKind(),
}
