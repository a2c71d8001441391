"""The audit trail. An action writes the row of what somebody did, in its transaction, whatever door that came through.

So verbs, subjects and reasons are the same from REST, gRPC, pages, the admin panel and commands, and no door can forget
one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from django.db import connection
from django.utils import timezone

from audit.models import AuditEvent


def record(
    actor: str,
    verb: str,
    subject: object,
    *,
    project: str | None = None,
    domain: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> AuditEvent:
    """To be called in the transaction of what it says.

    `actor` is a user's name, or `system:...` for what a policy did. `verb` is dotted (`gate.approve`), `subject` names
    the thing as a person would; where a subject that lies in a project and domain is given itself, these are the
    event's, unless others are said. `detail` is JSON-able; what is empty in it is left out.
    """
    if project is None and domain is None and hasattr(subject, "project") and hasattr(subject, "domain"):
        project, domain = subject.project, subject.domain
    event = AuditEvent(
        at=timezone.now(),
        actor=actor[:150],
        verb=verb,
        project=project or "",
        domain=domain or "",
        subject=str(subject)[:500],
        detail={key: value for key, value in (detail or {}).items() if value not in (None, "")},
    )
    who, where = (event.actor, event.verb), (event.project, event.domain)
    values = [event.at.isoformat(), *who, *where, event.subject, json.dumps(event.detail)]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        (event.pk,) = cursor.fetchone()
    event._state.adding, event._state.db = False, connection.alias
    return event


# With every action, and so written out: to put it together takes the ORM longer than the database to carry it out.
_INSERT = """
    INSERT INTO accounts_auditevent (at, actor, verb, project, domain, subject, detail)
    VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
