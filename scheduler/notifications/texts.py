"""What a notification says, in words for people and in JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import Q
from flyteidl.core import execution_pb2

from artifacts.happenings import CHECK_FAILED, FALLEN_BACK, KINDS, STRANDED, VOIDED
from artifacts.models import Happening
from scheduler.models import Execution, Notification
from scheduler.notifications.kinds import ENDS, GATE_WAITING

ERROR_SHOWN = 4000  # characters of an error; the page has all
_ENDS = frozenset(kind.name for kind in ENDS.values())


def subject_of(notification: Notification) -> str:
    """One line, without line breaks whatever the names hold: it becomes a mail header."""
    happening = notification.happening
    return said_of(happening, plans_of([happening]))


def text_of(notification: Notification) -> str:
    happening = notification.happening
    execution = _execution_of(happening)
    if execution is None:
        return f"{subject_of(notification)}.\n\n{page_of(happening)}"
    if happening.kind == GATE_WAITING.name:
        lines = [f"Execution {execution.key} waits for a person to decide: {happening.name}."]
    elif happening.kind in _ENDS:
        lines = [f"Execution {execution.key} of {_runs(execution)} {KINDS[happening.kind].words}."]
    else:
        lines = [f"{subject_of(notification)}."]
    if error := _error_of(execution):
        lines += ["", error]
    if execution.abort_cause:
        lines += ["", f"Aborted by {execution.aborted_by or 'somebody'}: {execution.abort_cause}"]
    return "\n".join([*lines, "", page_of(happening)])


def body_of(notification: Notification) -> dict[str, Any]:
    """What a webhook is sent. `id` is the same whenever it is sent again."""
    happening = notification.happening
    execution = _execution_of(happening)
    told: dict[str, Any] = {
        "id": notification.pk,
        "event": happening.kind,
        "at": happening.at.isoformat(),
        "project": happening.project,
        "domain": happening.domain,
        "subject": happening.subject,
        "name": happening.name,
        "actor": happening.actor,
        "message": subject_of(notification),
        "detail": happening.detail,
        "url": page_of(happening),
    }
    if execution is None:
        return told
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
        },
        "gate": happening.name if happening.kind.startswith("gate.") else None,
        "error": _error_of(execution) or None,
        "abort_cause": execution.abort_cause or None,
    }


def said_of(happening: Happening, plans: Mapping[str, str]) -> str:
    """One sentence without its full stop. `plans`: of executions, as `plans_of` finds them."""
    return " ".join(_said(happening, plans).split())


def _said(happening: Happening, plans: Mapping[str, str]) -> str:
    detail, subject, name = happening.detail, happening.subject, happening.name
    kind = KINDS.get(happening.kind)
    words = kind.words if kind is not None else happening.kind
    if happening.kind in _ENDS:
        return f"{plans.get(happening.execution_key, 'execution')} {words}: {happening.execution_key}"
    if happening.kind == GATE_WAITING.name:
        return f"{happening.execution_key} waits for {name}"
    if happening.kind == CHECK_FAILED.name:
        return f"check {name} of {subject} failed{_after(detail, 'message')}"
    if happening.kind == FALLEN_BACK.name:
        return f"{subject} fell back to {detail.get('version')}{_after(detail, 'reason')}"
    if happening.kind == VOIDED.name:
        voters = ", ".join(detail.get("voters", [])) or "nobody"
        return f"what {voters} said about {subject} does not count any more{_after(detail, 'reason')}"
    if happening.kind == STRANDED.name:
        return f"{subject} found nothing to fall back to{_after(detail, 'reason')}"
    if detail.get("said"):  # in the words of who wrote it
        return str(detail["said"])
    what = f"{name} of {subject}" if name and name not in subject else subject
    return f"{what} {words}{_after(detail, 'message', 'reason', 'comment')}"


def _after(detail: Mapping[str, Any], *names: str) -> str:
    return next((f": {detail[name]}" for name in names if detail.get(name)), "")


def plans_of(happenings: Iterable[Happening]) -> dict[str, str]:
    """What ran, by the keys of executions that ended: the launch plan, or the workflow of one without; one query."""
    keys = {tuple(each.execution_key.split("/")) for each in happenings if each.kind in _ENDS}
    asked = Q()
    for project, domain, name in keys:
        asked |= Q(project=project, domain=domain, name=name)
    rows = Execution.objects.filter(asked) if keys else Execution.objects.none()
    found = rows.values_list("project", "domain", "name", "launch_plan__name", "workflow__name")
    return {f"{project}/{domain}/{name}": plan or flow for project, domain, name, plan, flow in found}


def page_of(happening: Happening) -> str:
    """Where a person sees more of it."""
    if _is_of_execution(happening):
        where = f"executions/{quote(happening.execution_key)}/"
    elif happening.artifact_id is not None and happening.kind.startswith(("check.", "alias.")):
        where = f"artifacts/governance/{happening.artifact_id}/"
    elif happening.version_id is not None:
        where = f"artifacts/versions/{happening.version_id}/"
    else:
        where = {"level": "service-levels/", "quota": "quotas/"}.get(happening.kind.partition(".")[0], "")
    return f"{settings.CAUSEWAY_PUBLIC_URL}/{where}"


def _is_of_execution(happening: Happening) -> bool:
    return happening.kind.startswith(("execution.", "gate.")) and happening.execution_key.count("/") == 2


def _execution_of(happening: Happening) -> Execution | None:
    if not _is_of_execution(happening):
        return None
    project, domain, name = happening.execution_key.split("/")
    rows = Execution.objects.select_related("launch_plan", "workflow")
    rows = rows.defer("launch_plan__spec", "workflow__spec", "workflow__closure")
    return rows.filter(project=project, domain=domain, name=name).first()


def _runs(execution: Execution) -> str:
    return execution.launch_plan.name if execution.launch_plan else execution.workflow.name


def _error_of(execution: Execution) -> str:
    if not execution.error:
        return ""
    error = execution_pb2.ExecutionError.FromString(bytes(execution.error))
    said = f"{error.code}: {error.message}" if error.code else error.message
    return said if len(said) <= ERROR_SHOWN else f"{said[:ERROR_SHOWN]}\n(the page has the rest)"
