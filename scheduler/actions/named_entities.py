from __future__ import annotations

from artifacts.exceptions import InvalidArgument
from scheduler.models import NamedEntity

MAX_DESCRIPTION = 300


def update_named_entity(entity: NamedEntity, *, description: str, archived: bool, actor: str) -> NamedEntity:
    """What people say of a name, and whether it is listed. Versions and executions are not touched."""
    if len(description) > MAX_DESCRIPTION:
        raise InvalidArgument(f"description cannot exceed {MAX_DESCRIPTION} characters")
    NamedEntity.objects.filter(pk=entity.pk).update(description=description, archived=archived)
    entity.description = description
    entity.archived = archived
    return entity
