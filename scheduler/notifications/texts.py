"""What a notification says, in words for people and in JSON for programs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.conf import settings
from flyteidl.core import execution_pb2

from scheduler.models import Execution, Notification, Subject

ERROR_SHOWN = 4000  # characters of an error; the page has all


def subject_of(notification: Notification) -> str:
    """One line, without line breaks whatever the names hold: it becomes a mail header."""
    execution = notification.execution
    if execution is None:
        said = notification.said
    elif notification.subject == Subject.GATE_WAITING:
        said = f"{execution.key} waits for {notification.signal_id}"
    elif notification.subject == Subject.GATE_ESCALATED:
        said = f"the time of {notification.signal_id} of {execution.key} is nearly up"
    else:
        said = f"{_plan_of(execution)} {notification.subject.lower().replace('_', ' ')}: {execution.key}"
    return " ".join(said.split())


def text_of(notification: Notification) -> str:
    execution = notification.execution
    if execution is None:
        return f"{notification.said}.\n\n{_page_of(notification)}"
    if notification.subject == Subject.GATE_WAITING:
        lines = [f"Execution {execution.key} waits for a person to decide: {notification.signal_id}."]
    elif notification.subject == Subject.GATE_ESCALATED:
        lines = [f"Nobody has decided about {notification.signal_id} of {execution.key}; its time is nearly up."]
    else:
        said = notification.subject.lower().replace("_", " ")
        lines = [f"Execution {execution.key} of {_plan_of(execution)} {said}."]
    if error := _error_of(execution):
        lines += ["", error]
    if execution.abort_cause:
        lines += ["", f"Aborted by {execution.aborted_by or 'somebody'}: {execution.abort_cause}"]
    return "\n".join([*lines, "", url_of(execution)])


def body_of(notification: Notification) -> dict[str, Any]:
    """What a webhook is sent. `id` is the same whenever it is sent again."""
    execution = notification.execution
    told = {"id": notification.pk, "event": notification.subject, "at": notification.created_at.isoformat()}
    if notification.happening is not None:
        happening = notification.happening
        about = {"id": happening.pk, "kind": happening.kind, "subject": happening.subject, "name": happening.name}
        return {**told, "happening": about, "message": notification.said, "url": _page_of(notification)}
    if execution is None:
        return {**told, "quota": notification.quota_id, "message": notification.said}
    return {
        **told,
        "execution": {
            "project": execution.project,
            "domain": execution.domain,
            "name": execution.name,
            "launch_plan": execution.launch_plan.name if execution.launch_plan else "",
            "workflow": execution.workflow.name,
            "version": execution.workflow.version,
            "principal": execution.principal,
            "started_at": execution.started_at.isoformat() if execution.started_at else None,
            "ended_at": execution.ended_at.isoformat() if execution.ended_at else None,
            "url": url_of(execution),
        },
        "gate": notification.signal_id or None,
        "error": _error_of(execution) or None,
        "abort_cause": execution.abort_cause or None,
    }


def _page_of(notification: Notification) -> str:
    happening = notification.happening
    if happening is not None and happening.execution_key:
        where = f"executions/{quote(happening.execution_key)}/"
    elif happening is not None:
        where = f"artifacts/governance/{happening.artifact_id}/"
    else:
        where = "service-levels/" if notification.subject == Subject.SERVICE_LEVEL else "quotas/"
    return f"{settings.CAUSEWAY_PUBLIC_URL}/{where}"


def url_of(execution: Execution) -> str:
    return f"{settings.CAUSEWAY_PUBLIC_URL}/executions/{quote(execution.key)}/"


def _plan_of(execution: Execution) -> str:
    return execution.launch_plan.name if execution.launch_plan else execution.workflow.name


def _error_of(execution: Execution) -> str:
    if not execution.error:
        return ""
    error = execution_pb2.ExecutionError.FromString(bytes(execution.error))
    said = f"{error.code}: {error.message}" if error.code else error.message
    return said if len(said) <= ERROR_SHOWN else f"{said[:ERROR_SHOWN]}\n(the page has the rest)"
