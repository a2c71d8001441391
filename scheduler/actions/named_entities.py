from __future__ import annotations

from django.db import transaction

from artifacts.exceptions import InvalidArgument
from audit.record import record
from scheduler.models import NamedEntity

MAX_DESCRIPTION = 300


def update_named_entity(entity: NamedEntity, *, description: str, archived: bool, actor: str) -> NamedEntity:
    """What people say of a name, and whether it is listed. Versions and executions are not touched."""
    if len(description) > MAX_DESCRIPTION:
        raise InvalidArgument(f"description cannot exceed {MAX_DESCRIPTION} characters")
    with transaction.atomic():
        NamedEntity.objects.filter(pk=entity.pk).update(description=description, archived=archived)
        detail = {"description": description, "archived": archived}
        record(actor, "name.update", entity, detail=detail)
    entity.description = description
    entity.archived = archived
    return entity
