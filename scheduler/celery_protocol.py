"""Celery messages, made the short way.

`Task.delay` costs more than a millisecond of CPU, nearly all of it for options that wake-ups never use, and for a new
client each time; every publication and every step of an execution sends one. Made here is what it would send, as the
workers read it: https://docs.celeryq.dev/en/stable/internals/protocol.html (version 2), in the envelope of kombu's
Redis transport.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from uuid import uuid4

_EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(task: str, arguments: Sequence[object], *, queue: str) -> str:
    """What to push to the left of the list named like the queue. `task` is its full name."""
    identity = str(uuid4())
    body = json.dumps((arguments, {}, _EMBEDDED))
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": task,
                "id": identity,
                "root_id": identity,
                "parent_id": None,
                "group": None,
                "eta": None,
                "expires": None,
                "retries": 0,
                "timelimit": [None, None],
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": identity,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )
