"""Setting and removing matchable attributes."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from flyteidl.admin import common_pb2, matchable_resource_pb2

from artifacts.exceptions import InvalidArgument
from scheduler.actions.expected_inputs import check_labels
from scheduler.actions.identifiers import check_project
from scheduler.attributes import FIELDS, Place, kind_name
from scheduler.environment import check_environment
from scheduler.models import MatchableAttributes
from scheduler.task_resources import check_platform


def set_attributes(
    place: Place, attributes: matchable_resource_pb2.MatchingAttributes, *, actor: str
) -> MatchableAttributes:
    """Replaces what was set of this kind at exactly this place. Executions launched from now on go by it.

    InvalidArgument for an unknown project or domain, for attributes of no kind, and for values that cannot be meant.
    """
    _check_place(place)
    kind = {field: kind for kind, field in FIELDS.items()}.get(attributes.WhichOneof("target") or "")
    if kind is None:
        raise InvalidArgument(f"unrecognized matching attributes type for request {place}")
    _check(attributes)
    now = timezone.now()
    written = {"attributes": attributes.SerializeToString(), "updated_by": actor, "updated_at": now}
    with transaction.atomic():
        row, _ = MatchableAttributes.objects.update_or_create(
            kind=kind,
            project=place.project,
            domain=place.domain,
            workflow=place.workflow,
            defaults=written,
            create_defaults={**written, "created_at": now},
        )
    return row


def delete_attributes(place: Place, kind: int) -> bool:
    """Whether there were any; as in flyteadmin it is no error if there were none. InvalidArgument for no kind."""
    kind_name(kind)
    _check_place(place)
    rows = MatchableAttributes.objects.filter(
        kind=kind, project=place.project, domain=place.domain, workflow=place.workflow
    )
    return bool(rows.delete()[0])


def _check_place(place: Place) -> None:
    if place.workflow and not place.domain:
        raise InvalidArgument("attributes of a workflow are set in a domain")
    check_project(place.project, place.domain or None)


def _check(attributes: matchable_resource_pb2.MatchingAttributes) -> None:
    if attributes.HasField("task_resource_attributes"):
        check_platform(attributes.task_resource_attributes)
    if attributes.HasField("workflow_execution_config"):
        config = attributes.workflow_execution_config
        if config.max_parallelism < 0:
            raise InvalidArgument(f"max_parallelism is a positive number, not {config.max_parallelism}")
        check_labels(common_pb2.Labels(values=config.labels.values))
        check_environment(config.envs.values)
