"""OpenLineage events that other systems send: read, put in their place, taken in by the rights of who sends them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from artifacts.actions.publish import Publication
from artifacts.exceptions import CausewayError, InvalidArgument, PayloadTooLarge
from artifacts.literals import primary_uri
from artifacts.models import ArtifactVersion
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.accounts.scopes import grant_of
from console.rest.parsing import read_json
from console.rest.publishing import check_reference, publish_here
from lineage.actions.outside import Sender, take_in
from lineage.outside.events import Event, read_event
from scheduler.actions.identifiers import check_project

MAX_EVENTS = 10_000  # of one batch
MAX_BYTES = 40 * 1024**2  # of a body, once it is unpacked


@dataclass(frozen=True)
class Taken:
    """`failed`: by their places in the batch, what was wrong with those that were not kept."""

    received: int
    failed: list[tuple[int, str]]
    versions: int


def place_for(user: User, project: str = "", domain: str = "") -> tuple[str, str]:
    """Where the events of a sender belong: as he says, else the project of his token, else the one of the setting.
    InvalidArgument, PermissionDenied or NotFound where he may not publish, or where there is no such place.
    """
    default_project, _, default_domain = settings.CAUSEWAY_OPENLINEAGE_PLACE.partition("/")
    grant = grant_of(user)
    project = project or (grant.project if grant else "") or default_project
    domain = domain or default_domain or settings.CAUSEWAY_DOMAINS[0]
    access.require_found(user, Action.PUBLISH, project, domain, what=f"project {project} with domain {domain}")
    check_project(project, domain)
    return project, domain


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body as it was before its Content-Encoding. PayloadTooLarge, InvalidArgument."""
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise InvalidArgument(f"Content-Encoding {encoding[:40]!r} is not read; gzip is, and none")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            found = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidArgument(f"the body is not gzip: {error}") from None
    if len(found) > MAX_BYTES:
        raise PayloadTooLarge(f"unpacked, the body may have {MAX_BYTES} bytes")
    return found


def receive(body: bytes, place: tuple[str, str], *, user: User) -> Taken:
    """Take in one event, or a list of them. InvalidArgument for a single one that is none, and for a list of nothing
    else; of others those that are right are kept.
    """
    data = read_json(body, once=False)
    rows = data if isinstance(data, list) else [data]
    if not 0 < len(rows) <= MAX_EVENTS:
        raise InvalidArgument(f"a batch holds 1 to {MAX_EVENTS} events, this one {len(rows)}")
    events, failed = _read(rows)
    if not events:
        index, reason = failed[0]
        raise InvalidArgument(f"{index}: {reason}" if isinstance(data, list) else reason)
    sender = Sender(lambda publications: _publish(publications, user), access.reader(user))
    return Taken(len(rows), failed, take_in(events, place, sender=sender))


def _read(rows: Sequence[Any]) -> tuple[list[Event], list[tuple[int, str]]]:
    events, failed = [], []
    for index, row in enumerate(rows):
        try:
            events.append(read_event(row))
        except InvalidArgument as error:
            failed.append((index, error.message))
    return events, failed


def _publish(publications: Sequence[Publication], user: User) -> list[ArtifactVersion | CausewayError]:
    """All at once; where one of them is refused, one by one."""
    try:
        return _published(publications, user)
    except CausewayError as error:
        if len(publications) == 1:
            return [error]
    found: list[ArtifactVersion | CausewayError] = []
    for publication in publications:
        try:
            found += _published([publication], user)
        except CausewayError as error:
            found.append(error)
    return found


def _published(publications: Sequence[Publication], user: User) -> list[ArtifactVersion | CausewayError]:
    for publication in publications:
        check_reference(primary_uri(publication.literal), user)
    with transaction.atomic():
        return [outcome.version for outcome in publish_here(publications, user)]
