from scheduler.models.approval import ApprovalRule, ApproverGroup, Decision, Delegation, GateVote, SigningKey
from scheduler.models.attempt import TaskExecution
from scheduler.models.attributes import MatchableAttributes
from scheduler.models.cache import CacheEntry
from scheduler.models.cluster import ClusterSettings
from scheduler.models.connection import Connection
from scheduler.models.connector import ConnectorCatalogue, ConnectorJob, ConnectorSettings
from scheduler.models.contest import Contest
from scheduler.models.ended_child import EndedChild
from scheduler.models.event import PhaseEvent
from scheduler.models.execution import Execution, ExecutionMode
from scheduler.models.executor import ExecutorInstance
from scheduler.models.figure import Figure, FiguresMark, TracesMark
from scheduler.models.gate import Gate, GateKind
from scheduler.models.level import LevelOutcome, ServiceLevel, UpTime
from scheduler.models.node import NodeExecution, NodeKind
from scheduler.models.notification import Channel, Notification, Subscription
from scheduler.models.preemption import Preemption
from scheduler.models.promotion import Promotion
from scheduler.models.quota import Lane, Quota, QuotaScope, QuotaWindow
from scheduler.models.registry import LaunchPlan, NamedEntity, Project, ResourceType, Task, Workflow
from scheduler.models.replicas import AttemptReplicas
from scheduler.models.samples import AttemptSamples
from scheduler.models.schedule import Schedule, ScheduleFire
from scheduler.models.secret import Secret
from scheduler.models.trigger import (
    Backlog,
    OnLimit,
    Trigger,
    TriggerFiring,
    TriggerMode,
    TriggerRound,
    TriggerSource,
)
from scheduler.models.usage import Price, UsageHour
from scheduler.models.value import ExecutionValue, ValueSide, ValuesMark
from scheduler.phases import FiringOutcome

__all__ = [
    "AttemptReplicas",
    "ServiceLevel",
    "SigningKey",
    "GateVote",
    "Delegation",
    "Decision",
    "ApproverGroup",
    "ApprovalRule",
    "AttemptSamples",
    "Backlog",
    "CacheEntry",
    "Channel",
    "ClusterSettings",
    "Connection",
    "ConnectorCatalogue",
    "ConnectorJob",
    "ConnectorSettings",
    "Contest",
    "EndedChild",
    "Execution",
    "ExecutionMode",
    "ExecutionValue",
    "ExecutorInstance",
    "Figure",
    "FiguresMark",
    "FiringOutcome",
    "Gate",
    "GateKind",
    "Lane",
    "LaunchPlan",
    "LevelOutcome",
    "MatchableAttributes",
    "NamedEntity",
    "NodeExecution",
    "NodeKind",
    "Notification",
    "OnLimit",
    "PhaseEvent",
    "Preemption",
    "Price",
    "Project",
    "Promotion",
    "Quota",
    "QuotaScope",
    "QuotaWindow",
    "ResourceType",
    "Schedule",
    "ScheduleFire",
    "Secret",
    "Subscription",
    "Task",
    "TaskExecution",
    "Trigger",
    "TriggerFiring",
    "TriggerMode",
    "TriggerRound",
    "TriggerSource",
    "UpTime",
    "UsageHour",
    "ValueSide",
    "TracesMark",
    "ValuesMark",
    "Workflow",
]
