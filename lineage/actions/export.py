"""The outbox of OpenLineage events: written with the change of phase, sent afterwards, in order for each run.

Nothing is written unless CAUSEWAY_OPENLINEAGE_URL is set. What cannot be sent is tried again, each time later; after
ATTEMPTS, or when the endpoint says that the event itself is bad, it is given up and stays to be looked at.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from lineage.models import RunEvent, RunEventType, VersionEdge, VersionRole
from lineage.openlineage import run_event_of, types_of
from lineage.outgoing import NoAnswer, NotAllowed, post
from lineage.walks import nodes_of

logger = logging.getLogger(__name__)

ATTEMPTS = 15  # about six hours
SLOWEST = timedelta(hours=1)
BATCH = 200
MAX_OPEN = 100_000  # events that wait; with more, new ones are dropped: an endpoint that is gone must not fill the disk
KEPT = timedelta(days=7)
DATASETS = 1000  # of one event, each way
SECONDS = 10.0  # for one event, whatever the endpoint does
BUDGET = 60.0  # seconds that one run sends for; the next one goes on
PASSING = frozenset({401, 403, 404, 408, 425, 429})  # refusals that are not the event's fault
SENDER_LOCK = 4_270_011


def note(
    execution_key: str, event_type: RunEventType, *, at: datetime, facts: Mapping[str, object], error: str = ""
) -> None:
    """In the transaction of what it tells of. `facts`: job, owner, parent and parent_job, as the event names them."""
    if not settings.CAUSEWAY_OPENLINEAGE_URL:
        return
    event = RunEvent(
        execution_key=execution_key, event_type=event_type, at=at, next_at=at, facts=dict(facts), error=error[:10_000]
    )
    RunEvent.objects.bulk_create([event], ignore_conflicts=True)


def send_due(*, limit: int = BATCH) -> int:
    """Send what is due, the number sent. One sender at a time; a second one leaves at once."""
    if not settings.CAUSEWAY_OPENLINEAGE_URL:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [SENDER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    try:
        return _send_due(limit)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [SENDER_LOCK])


# Of each run, the first event that still waits: later ones must not overtake it.
_DUE = """
SELECT id FROM lineage_runevent AS event
WHERE sent_at IS NULL AND given_up_at IS NULL AND next_at <= %s
  AND NOT EXISTS (
      SELECT 1 FROM lineage_runevent AS earlier
      WHERE earlier.execution_key = event.execution_key AND earlier.id < event.id
        AND earlier.sent_at IS NULL AND earlier.given_up_at IS NULL
  )
ORDER BY next_at, id LIMIT %s
"""


def _send_due(limit: int) -> int:
    sent, until = 0, time.monotonic() + BUDGET
    while sent < limit and time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(_DUE, [timezone.now(), limit - sent])
            ids = [row[0] for row in cursor.fetchall()]
        done = 0
        for event in RunEvent.objects.filter(pk__in=ids).order_by("pk"):
            if time.monotonic() >= until:
                break
            done += _send(event)
        sent += done
        if not done:
            break
    _tidy()
    return sent


def _send(event: RunEvent) -> bool:
    now = timezone.now()
    status, answer = _post(json.dumps(payload_of(event)).encode())
    if 200 <= status < 300:
        RunEvent.objects.filter(pk=event.pk).update(sent_at=now, refusal="", attempts=event.attempts + 1)
        return True
    attempts = event.attempts + 1
    hopeless = 400 <= status < 500 and status not in PASSING
    given_up = now if hopeless or attempts >= ATTEMPTS else None
    wait = min(timedelta(seconds=2**attempts), SLOWEST)
    refusal = f"{status or 'no answer'}: {answer}"[:2000]
    RunEvent.objects.filter(pk=event.pk).update(
        attempts=attempts, next_at=now + wait, refusal=refusal, given_up_at=given_up
    )
    logger.warning("OpenLineage %s %s: %s", event.execution_key, event.event_type, refusal[:200])
    return False


def payload_of(event: RunEvent) -> dict[str, object]:
    """The event as it is sent: inputs as known now, outputs once there are any."""
    edges = VersionEdge.objects.filter(execution_key=event.execution_key)
    ids = {
        role: sorted(set(edges.filter(role=role).values_list("version_id", flat=True)[:DATASETS]))
        for role in VersionRole
    }
    nodes = nodes_of({pk for found in ids.values() for pk in found})
    facts = event.facts
    parent = {"key": facts["parent"], "job": facts.get("parent_job", "")} if facts.get("parent") else None
    return run_event_of(
        event.execution_key,
        job=str(facts.get("job", "")),
        at=event.at,
        inputs=[nodes[pk] for pk in ids[VersionRole.CONSUMED]],
        outputs=[nodes[pk] for pk in ids[VersionRole.PRODUCED]] if event.event_type != RunEventType.START else [],
        event_type=event.event_type,
        parent=parent,
        owner=str(facts.get("owner", "")),
        error=event.error,
        types=types_of(nodes),
    )


def _post(body: bytes) -> tuple[int, str]:
    """Status and the beginning of the answer; status 0 where there was none."""
    headers = {"Content-Type": "application/json"}
    if settings.CAUSEWAY_OPENLINEAGE_API_KEY:
        headers["Authorization"] = f"Bearer {settings.CAUSEWAY_OPENLINEAGE_API_KEY}"
    try:  # the operator's own setting: it may be in the same network
        answer = post(settings.CAUSEWAY_OPENLINEAGE_URL, body, headers, seconds=SECONDS, private=True)
    except (NoAnswer, NotAllowed) as error:
        return 0, str(error)
    return answer.status, answer.text


def _tidy() -> None:
    """Forget what was sent long ago, and the newest of what waits beyond all measure."""
    RunEvent.objects.filter(sent_at__lt=timezone.now() - KEPT).delete()
    waiting = RunEvent.objects.filter(sent_at__isnull=True, given_up_at__isnull=True).order_by("pk")
    beyond = waiting.values_list("pk", flat=True)[MAX_OPEN : MAX_OPEN + 1].first()
    if beyond is not None:
        with transaction.atomic():
            waiting.filter(pk__gte=beyond).update(given_up_at=timezone.now(), refusal="too many events wait")
