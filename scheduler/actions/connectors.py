"""Setting, changing and removing connectors while Causeway runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument
from audit.record import record
from scheduler.actions import descriptions
from scheduler.executors.connectors import connectors
from scheduler.executors.connectors.connector import Connector, described
from scheduler.executors.descriptions import BadDescription
from scheduler.models import ConnectorCatalogue, ConnectorJob, ConnectorSettings
from scheduler.phases import ATTEMPT_TERMINAL


def read_description(given: object) -> dict[str, Any]:
    """A description that came as a mapping, or as YAML or JSON. InvalidArgument."""
    return descriptions.read(given, of="connector", such_as="endpoint: localhost:8000")


def set_connector(name: str, description: object, *, actor: str) -> tuple[ConnectorSettings, bool]:
    """The row, and whether it is new; what was described before is replaced. InvalidArgument for what is not
    understood, AlreadyExists for a name of the settings.
    """
    given = read_description(description)
    try:
        with transaction.atomic():
            return _write(name, given, actor=actor)
    except IntegrityError:  # somebody set it first, at the same time
        return _write(name, given, actor=actor)


def change_connector(row: ConnectorSettings, changes: object, *, actor: str) -> ConnectorSettings:
    """Only what is named, as a JSON merge patch: null takes a setting away. Raises as `set_connector`."""
    given = read_description(changes)
    with transaction.atomic():
        locked = ConnectorSettings.objects.select_for_update().get(pk=row.pk)
        return _write(locked.name, descriptions.merged(locked.description, given), actor=actor)[0]


def remove_connector(row: ConnectorSettings, *, actor: str) -> None:
    """FailedPrecondition while it has jobs: nobody would learn how they end."""
    with transaction.atomic():
        locked = ConnectorSettings.objects.select_for_update().get(pk=row.pk)
        held = ConnectorJob.objects.filter(connector=locked.name).exclude(attempt__phase__in=ATTEMPT_TERMINAL)
        if count := held.count():
            raise FailedPrecondition(
                f"connector {locked.name} has {count} jobs that have not ended: close it (`open: false`), and wait or "
                "abort them"
            )
        record(actor, "connector.remove", locked)
        ConnectorCatalogue.objects.filter(name=locked.name).delete()
        locked.delete()


def check(name: str, description: Mapping[str, Any]) -> Connector:
    """What the description means. InvalidArgument in one sentence, AlreadyExists for a name of the settings."""
    if any(one.name == name for one in connectors.of_settings()):
        raise AlreadyExists(f"connector {name} is set in the settings of this installation: it is changed there")
    try:
        if "name" in description and description["name"] != name:
            raise BadDescription(f"the description is of a connector {description['name']!r}, not of {name!r}")
        return described({**description, "name": name})
    except (BadDescription, TypeError) as error:
        raise InvalidArgument(str(error)) from None


def _write(name: str, description: dict[str, Any], *, actor: str) -> tuple[ConnectorSettings, bool]:
    check(name, description)
    now = timezone.now()
    with transaction.atomic():
        row = ConnectorSettings.objects.select_for_update().filter(name=name).first()
        made = row is None
        if row is None:
            row = ConnectorSettings(name=name, created_by=actor, created_at=now)
        told = {key: value for key, value in description.items() if key != "name"}
        changed = descriptions.changed(row.description, told)
        row.description, row.updated_by, row.updated_at = told, actor, now
        row.save()
        record(actor, "connector.create" if made else "connector.update", row, detail={"changed": changed})
    return row, made
