"""One function an object: fetch it for a user who wants to do `action` with it, or raise.

NotFound where it does not exist or the user may not even read there; PermissionDenied where reading is allowed and the
action is not. Doors fetch single objects through these functions only.
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from artifacts.exceptions import NotFound, PermissionDenied
from artifacts.models import Artifact, ArtifactVersion, Hold
from artifacts.queries import version_called
from console.accounts import access
from console.accounts.access import Action, AnyUser
from console.accounts.models import ApiToken, User
from scheduler.approving.standing import whole
from scheduler.models import (
    ApprovalRule,
    ApproverGroup,
    Connection,
    Contest,
    Decision,
    Delegation,
    Execution,
    Gate,
    LaunchPlan,
    NodeExecution,
    Notification,
    Project,
    Promotion,
    Schedule,
    Secret,
    ServiceLevel,
    Subscription,
    Task,
    TaskExecution,
    Trigger,
    TriggerFiring,
    Workflow,
)
from scheduler.models.registry import RegisteredVersion

M = TypeVar("M", bound=Model)
R = TypeVar("R", bound=RegisteredVersion)


def access_project(user: AnyUser, identifier: str, *, action: Action = Action.READ) -> Project:
    """Reading one needs the right to read any of its domains."""
    known = access.known_projects(user)
    what = f"project {identifier}"
    if known is not None and identifier not in known:
        raise NotFound(f"no {what}")
    project = _one(Project.objects.filter(identifier=identifier), what)
    if action is not Action.READ:
        access.require(user, action, identifier)
    return project


def access_execution(user: AnyUser, project: str, domain: str, name: str, *, action: Action = Action.READ) -> Execution:
    what = f"execution {project}/{domain}/{name}"
    access.require_found(user, action, project, domain, what=what)
    rows = Execution.objects.select_related("launch_plan", "workflow", "task").defer(
        "workflow__spec",
        "workflow__closure",
        "launch_plan__spec",
        "launch_plan__closure",
        "task__spec",
        "task__closure",
    )
    return _one(rows.filter(project=project, domain=domain, name=name), what)


def access_approval_rule(user: AnyUser, rule_id: int, *, action: Action = Action.READ) -> ApprovalRule:
    what = f"approval rule {rule_id}"
    rule = _one(ApprovalRule.objects.filter(pk=rule_id), what)
    _require_of_project(user, rule.project, rule.domain, action, what)
    return rule


def access_approver_group(user: AnyUser, project: str, name: str, *, action: Action = Action.READ) -> ApproverGroup:
    what = f"group {name} of approvers in {project}"
    _require_of_project(user, project, "", action, what)
    return _one(ApproverGroup.objects.filter(project=project, name=name), what)


def _require_of_project(user: AnyUser, project: str, domain: str, action: Action, what: str) -> None:
    """For what belongs to a whole project: who may read one of its domains may read it."""
    known = access.known_projects(user)
    if known is not None and project not in known:
        raise NotFound(f"no {what}")
    if action is not Action.READ:
        access.require(user, action, project, domain)


def access_decision(user: AnyUser, decision_id: int) -> Decision:
    """For its evidence."""
    what = f"decision {decision_id}"
    row = _one(whole().filter(pk=decision_id), what)
    access.require_found(user, Action.READ, *row.place, what=what)
    return with_evidence_for(user, row)


def with_evidence_for(user: AnyUser, row: Decision) -> Decision:
    """A decision that the user may read. PermissionDenied where its evidence, which is signed as a whole, names a
    version that he may not: one of another project that was promoted, for instance.
    """
    if row.version is not None and not access.can(user, Action.READ, *row.version.artifact.key[:2]):
        raise PermissionDenied("the evidence names a version that you may not read: it is for who may")
    return row


def access_hold(user: AnyUser, hold_id: int) -> Hold:
    what = f"hold {hold_id}"
    row = _one(Hold.objects.select_related("artifact", "version__artifact").filter(pk=hold_id), what)
    access.require_found(user, Action.READ, *row.artifact.key[:2], what=what)
    return row


def access_level(user: AnyUser, level_id: int, *, action: Action = Action.READ) -> ServiceLevel:
    what = f"service level {level_id}"
    row = _one(ServiceLevel.objects.filter(pk=level_id, removed_at__isnull=True), what)
    access.require_found(user, action, row.project, row.domain, what=what)
    return row


def access_promotion(user: AnyUser, promotion_id: int) -> Promotion:
    """By who may read where it goes to, and what it is."""
    what = f"promotion {promotion_id}"
    rows = Promotion.objects.select_related("source__artifact", "target__artifact")
    row = _one(rows.filter(pk=promotion_id), what)
    access.require_found(user, Action.READ, row.project, row.domain, what=what)
    return row


def access_delegation(user: AnyUser, delegation_id: int) -> Delegation:
    """One from or to the user, or of a project that he administers."""
    what = f"delegation {delegation_id}"
    row = _one(Delegation.objects.filter(pk=delegation_id), what)
    if user.get_username() not in (row.giver, row.to) and not access.can(user, Action.ADMIN, row.project):
        raise NotFound(f"no {what}")
    return row


def access_node(execution: Execution, node_id: str) -> NodeExecution:
    """A node of an execution the user was given."""
    return _one(execution.nodes.filter(node_id=node_id), f"node {node_id} in {execution.key}")


def access_attempt(node: NodeExecution, attempt: int, index: int = -1) -> TaskExecution:
    """An attempt of a node the user was given; `index` is the item of a map, -1 where it is none."""
    item = "" if index < 0 else f" of item {index}"
    return _one(node.task_executions.filter(attempt=attempt, index=index), f"attempt {attempt}{item} of {node.node_id}")


def access_gate(user: AnyUser, gate_id: int, *, action: Action = Action.READ) -> Gate:
    rows = Gate.objects.select_related("execution__workflow", "node")
    rows = rows.defer("execution__workflow__spec", "execution__workflow__closure")
    gate = _one(rows.filter(pk=gate_id), f"gate {gate_id}")
    access.require_found(user, action, gate.execution.project, gate.execution.domain, what=f"gate {gate_id}")
    return gate


def access_subscription(user: AnyUser, subscription_id: int) -> Subscription:
    """Of an address: for administrators of its project only, as addresses can be secrets; of a person: for him."""
    what = f"subscription {subscription_id}"
    found: Subscription = _one(Subscription.objects.filter(pk=subscription_id), what)
    if not found.owner:
        access.require_found(user, Action.ADMIN, found.project, found.domain, what=what)
    elif not user.pk or found.owner != user.get_username():
        raise NotFound(f"no {what}")
    return found


def access_secret(user: AnyUser, secret_id: int) -> Secret:
    """For those who may remove it."""
    what = f"secret {secret_id}"
    found = _one(Secret.objects.defer("sealed").filter(pk=secret_id), what)
    access.require_found(user, Action.ADMIN, found.project, found.domain, what=what)
    return found


def access_connection(user: AnyUser, connection_id: int) -> Connection:
    """For those who may change or remove it."""
    what = f"connection {connection_id}"
    found = _one(Connection.objects.defer("sealed").filter(pk=connection_id), what)
    access.require_found(user, Action.ADMIN, found.project, found.domain, what=what)
    return found


def access_notification(user: AnyUser, notification_id: int, *, action: Action = Action.READ) -> Notification:
    """For those who may do `action` where it happened; what a person subscribed to is his alone."""
    what = f"notification {notification_id}"
    rows = Notification.objects.select_related("happening", "subscription")
    found: Notification = _one(rows.filter(pk=notification_id), what)
    is_own = bool(user.pk) and found.recipient == user.get_username()
    if found.recipient and found.subscription is not None and not is_own:
        raise NotFound(f"no {what}")
    place = found.happening.project, found.happening.domain
    access.require_found(user, Action.READ if is_own else action, *place, what=what)
    return found


def access_task(
    user: AnyUser, project: str, domain: str, name: str, version: str | None = None, *, action: Action = Action.READ
) -> Task:
    """The newest version where none is named; so for workflows and launch plans."""
    return _registered(user, Task.objects.all(), "task", project, domain, name, version, action)


def access_workflow(
    user: AnyUser, project: str, domain: str, name: str, version: str | None = None, *, action: Action = Action.READ
) -> Workflow:
    return _registered(user, Workflow.objects.all(), "workflow", project, domain, name, version, action)


def access_launch_plan(
    user: AnyUser, project: str, domain: str, name: str, version: str | None = None, *, action: Action = Action.READ
) -> LaunchPlan:
    """Without a version the active one, and where none is active the newest."""
    rows = LaunchPlan.objects.select_related("workflow").defer("workflow__spec", "workflow__closure")
    if version is None:
        rows = rows.order_by("-state", "-created_at", "-id")
    return _registered(user, rows, "launch plan", project, domain, name, version, action)


def access_artifact(user: AnyUser, project: str, domain: str, name: str, *, action: Action = Action.READ) -> Artifact:
    what = f"artifact {project}/{domain}/{name}"
    access.require_found(user, action, project, domain, what=what)
    return _one(Artifact.objects.filter(project=project, domain=domain, name=name), what)


def access_artifact_id(user: AnyUser, artifact_id: int, *, action: Action = Action.READ) -> Artifact:
    """A stranger is not told the name of what he may not read."""
    what = f"artifact {artifact_id}"
    artifact = _one(Artifact.objects.filter(pk=artifact_id), what)
    access.require_found(user, action, artifact.project, artifact.domain, what=what)
    return artifact


def access_version(
    user: AnyUser, project: str, domain: str, name: str, version: str, *, action: Action = Action.READ
) -> ArtifactVersion:
    """By `latest`, by alias, or by version, in this order.

    One whose data was removed is found by its version alone, for its lineage.
    """
    artifact = access_artifact(user, project, domain, name, action=action)
    found = version_called(artifact, version)
    if found is None:
        raise NotFound(f"no version or alias {version} of artifact {artifact}")
    return found


def access_version_id(user: AnyUser, version_id: int, *, action: Action = Action.READ) -> ArtifactVersion:
    what = f"artifact version {version_id}"
    version = _one(ArtifactVersion.objects.select_related("artifact").defer("terms").filter(pk=version_id), what)
    access.require_found(user, action, version.artifact.project, version.artifact.domain, what=what)
    return version


def check_present(version: ArtifactVersion) -> None:
    """NotFound when the version's data was removed: it can be looked at, not used."""
    if version.removed_at is not None:
        raise NotFound(f"the data of {version} was removed at {version.removed_at:%Y-%m-%d %H:%M} UTC")


def access_trigger(user: AnyUser, trigger_id: int, *, action: Action = Action.READ) -> Trigger:
    what = f"trigger {trigger_id}"
    rows = Trigger.objects.select_related("launch_plan").defer("launch_plan__spec", "launch_plan__closure")
    trigger = _one(rows.filter(pk=trigger_id), what)
    access.require_found(user, action, trigger.launch_plan.project, trigger.launch_plan.domain, what=what)
    return trigger


def access_contest(
    user: AnyUser, project: str, domain: str, model: str, alias: str, *, action: Action = Action.READ
) -> Contest:
    what = f"contest for {project}/{domain}/{model}:{alias}"
    access.require_found(user, action, project, domain, what=what)
    rows = Contest.objects.filter(project=project, domain=domain, model=model, alias=alias, removed_at__isnull=True)
    return _one(rows, what)


def access_contest_id(user: AnyUser, contest_id: int, *, action: Action = Action.READ) -> Contest:
    what = f"contest {contest_id}"
    contest = _one(Contest.objects.filter(pk=contest_id, removed_at__isnull=True), what)
    access.require_found(user, action, contest.project, contest.domain, what=what)
    return contest


def access_schedule(user: AnyUser, schedule_id: int, *, action: Action = Action.READ) -> Schedule:
    what = f"schedule {schedule_id}"
    rows = Schedule.objects.select_related("launch_plan").defer("launch_plan__spec", "launch_plan__closure")
    found = _one(rows.filter(pk=schedule_id), what)
    plan = found.launch_plan
    access.require_found(user, action, plan.project, plan.domain, what=what)
    return found


def access_firing(user: AnyUser, firing_id: int, *, action: Action = Action.READ) -> TriggerFiring:
    what = f"firing {firing_id}"
    rows = TriggerFiring.objects.select_related("trigger__launch_plan")
    heavy = ("trigger__launch_plan__spec", "trigger__launch_plan__closure", "trigger__condition")
    firing = _one(rows.defer(*heavy).filter(pk=firing_id), what)
    plan = firing.trigger.launch_plan
    access.require_found(user, action, plan.project, plan.domain, what=what)
    return firing


def access_token(user: User, token_id: int) -> ApiToken:
    """One's own tokens only, also for a superuser: the admin panel is where others' are revoked."""
    return _one(ApiToken.objects.select_related("user").filter(user=user, pk=token_id), f"token {token_id}")


def _registered(
    user: AnyUser,
    rows: QuerySet[R],
    kind: str,
    project: str,
    domain: str,
    name: str,
    version: str | None,
    action: Action,
) -> R:
    what = f"{kind} {project}/{domain}/{name}" + (f"@{version}" if version else "")
    access.require_found(user, action, project, domain, what=what)
    rows = rows.filter(project=project, domain=domain, name=name)
    if version:
        return _one(rows.filter(version=version), what)
    return _one(rows if rows.ordered else rows.order_by("-created_at", "-id"), what)


def _one(rows: QuerySet[M], what: str) -> M:
    found = next(iter(rows[:1]), None)
    if found is None:
        raise NotFound(f"no {what}")
    return found
