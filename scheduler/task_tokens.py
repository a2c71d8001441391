"""Tokens that a running attempt has for itself, so that its code (eager workflows) can call the doors.

Nothing is stored: a token is a signed attempt id, and good for as long as that attempt is in the executor's hands.
"""

from __future__ import annotations

from django.core import signing

from artifacts.exceptions import Unauthenticated
from scheduler.models import Execution, TaskExecution
from scheduler.phases import ATTEMPT_TERMINAL

PREFIX = "cwt_"
_SALT = "causeway.task-token"


def issue(attempt_id: int) -> str:
    return PREFIX + signing.dumps(attempt_id, salt=_SALT)


def execution_of(token: str) -> Execution:
    """The execution that the token's attempt works for. Unauthenticated if the token is none, or the attempt ended."""
    try:
        attempt_id = signing.loads(token.removeprefix(PREFIX), salt=_SALT)
    except signing.BadSignature:
        raise Unauthenticated("this token is not valid") from None
    running = TaskExecution.objects.filter(pk=attempt_id).exclude(phase__in=sorted(ATTEMPT_TERMINAL))
    execution_id = running.values_list("execution_id", flat=True).first()
    if execution_id is None:
        raise Unauthenticated("the task that this token was made for has ended")
    return Execution.objects.only("project", "domain", "principal", "principal_project", "shadow").get(pk=execution_id)
