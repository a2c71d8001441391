"""Who is to be told of what: rows written by the statement that writes the happening."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from flyteidl.admin import common_pb2, execution_pb2

from artifacts.happenings import VOIDED, a_happening, follow, install_teller, write
from artifacts.models import Happening
from scheduler.models import Channel, Execution, Gate, Notification
from scheduler.notifications.kinds import ENDS, GATE_WAITING
from scheduler.phases import ExecutionPhase
from scheduler.wake import wake_notifications

ACTOR = "system:engine"
_LIKE = r"replace(replace(replace(replace({}, '\', '\\'), '%%', '\%%'), '_', '\_'), '*', '%%')"
# A happening's launch plan: as its detail says, or that of its execution.
_PLAN = """coalesce(nullif(fresh.detail->>'launch_plan', ''), (
        SELECT plan.name
        FROM scheduler_execution AS run JOIN scheduler_launchplan AS plan ON plan.id = run.launch_plan_id
        WHERE run.project = split_part(fresh.execution_key, '/', 1)
            AND run.domain = split_part(fresh.execution_key, '/', 2)
            AND run.name = split_part(fresh.execution_key, '/', 3)
    ), '')"""
# `fresh`: artifacts.happenings.inserting. What the console shows needs no sending. Whether a person may see it is asked
# when it is sent or shown, by the roles of that moment.
_TELL = f"""
    INSERT INTO scheduler_notification
        (happening_id, subscription_id, channel, recipient, address, created_at, attempts, next_at, sent_at, error, log)
    SELECT fresh.id, wish.id, wish.channel, wish.owner, wish.address, fresh.at, 0, fresh.at,
        CASE WHEN wish.channel = 'console' THEN fresh.at END, '', '[]'
    FROM fresh JOIN scheduler_subscription AS wish
        ON wish.kinds && ARRAY[fresh.kind, split_part(fresh.kind, '.', 1) || '.*', '*']::varchar[]
        AND wish.project IN ('', fresh.project) AND wish.domain IN ('', fresh.domain)
    WHERE (wish.artifact = '' OR EXISTS (
            SELECT FROM artifacts_artifact AS made WHERE made.id = fresh.artifact_id
                AND made.project = fresh.project AND made.domain = fresh.domain
                AND made.name LIKE {_LIKE.format("wish.artifact")}
        ))
        AND (wish.launch_plan = '' OR {_PLAN} LIKE {_LIKE.format("wish.launch_plan")})
    ORDER BY fresh.id, wish.id
    ON CONFLICT DO NOTHING RETURNING 1
"""  # noqa: S608 - of constants


def install() -> None:
    install_teller(_TELL, wake_notifications)


def note_phases(moves: Iterable[tuple[Execution, ExecutionPhase]], *, at: datetime) -> None:
    """The ends of executions, as happenings; and those are told whom their own notifications name for these phases."""
    ends = [(execution, phase) for execution, phase in moves if phase in ENDS and execution.shadow_id is None]
    rows = []  # runs beside production tell nobody
    for execution, phase in ends:
        actor = execution.aborted_by if phase is ExecutionPhase.ABORTED else ""
        rows.append(a_happening(ENDS[phase], actor=actor or ACTOR, at=at, **_about(execution)))
    for (execution, phase), happening in zip(ends, write(rows), strict=True):
        ask(happening, [(Channel.EMAIL, "", address) for address in _own(execution, phase)])


def note_gates(execution: Execution, gates: Iterable[Gate], *, at: datetime) -> None:
    """That gates which wait for a person were reached."""
    waiting = [gate.signal_id for gate in gates if gate.decided_at is None]
    write([a_happening(GATE_WAITING, actor=ACTOR, at=at, name=name, **_about(execution, name)) for name in waiting])


def note_asked(happening: Happening, people: Iterable[tuple[str, str]]) -> None:
    """Tell them by the console, and at their mail addresses: (name, address), where they have one."""
    told = [(Channel.CONSOLE, name, "") for name, _ in people]
    ask(happening, [*told, *((Channel.EMAIL, name, "") for name, address in people if address)])


def ask(happening: Happening, recipients: Iterable[tuple[Channel, str, str]]) -> None:
    """Tell these of it, each once, whatever others subscribed to: (channel, person, address)."""
    at = happening.at
    rows = [
        Notification(
            happening=happening,
            channel=channel,
            recipient=person,
            address=address,
            created_at=at,
            next_at=at,
            sent_at=at if channel is Channel.CONSOLE else None,
        )
        for channel, person, address in recipients
        if person or address
    ]
    if rows:
        Notification.objects.bulk_create(rows, ignore_conflicts=True)
        wake_notifications()


def _about(execution: Execution, signal_id: str = "") -> dict[str, Any]:
    return {
        "subject": f"{execution.key}/{signal_id}" if signal_id else execution.key,
        "place": (execution.project, execution.domain),
        "execution_key": execution.key,
    }


@follow(VOIDED)
def tell_voters(happening: Happening) -> None:
    """Whose votes do not count any more."""
    voters = get_user_model().objects.filter(username__in=happening.detail.get("voters", []), is_active=True)
    note_asked(happening, voters.order_by("pk").values_list("username", "email"))


def _own(execution: Execution, phase: ExecutionPhase) -> Iterable[str]:
    """What flytekit's Email, Slack and PagerDuty say: in Flyte all three are mail addresses."""
    spec = execution_pb2.ExecutionSpec.FromString(bytes(execution.spec))
    for rule in spec.notifications.notifications:
        if int(phase) in map(int, rule.phases):
            yield from (address.strip() for address in _addresses(rule))


def _addresses(rule: common_pb2.Notification) -> Iterable[str]:
    kind = rule.WhichOneof("type")
    return getattr(rule, kind).recipients_email if kind else ()
