"""Labels and tags of executions, and lists filtered by them as flytekit's eager tasks ask for what they started.

flyteadmin keeps a row for each label, `key` and `value`, and for each tag, `key` alone (transformers/execution.go,
CreateExecutionTagModel), and joins them to executions: filters on `execution_tag.key` and `execution_tag.value` are
about one and the same row. `admin_tag.name` is an older name of the key.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q
from flyteidl.admin import execution_pb2

from artifacts.exceptions import InvalidArgument

KEYS = frozenset({"execution_tag.key", "admin_tag.name"})
VALUES = frozenset({"execution_tag.value"})
ENTITIES = ("execution_tag", "admin_tag")
FUNCTIONS = ("eq", "value_in")
LONGEST = 400  # characters that count: longer than any label, and as much as an index holds


def tags_of(spec: execution_pb2.ExecutionSpec) -> list[str]:
    """What the column holds for the execution: of each label its key and `key=value`, of each tag its text."""
    labels = sorted(spec.labels.values.items())
    return _kept([*spec.tags, *(key for key, _ in labels), *(f"{key}={value}" for key, value in labels)])


def _kept(tags: Iterable[str]) -> list[str]:
    return sorted({tag[:LONGEST] for tag in tags if "\x00" not in tag})


def tagged(filters: Iterable[tuple[str, str, tuple[str, ...]]]) -> Q:
    """What holds for executions that have one tag for which all these filters (function, key, values) hold."""
    keys: set[str] | None = None
    values: set[str] | None = None
    for function, key, wanted in filters:
        if function not in FUNCTIONS:
            raise InvalidArgument(f"'{function}' does not work on {key}; allowed are {', '.join(FUNCTIONS)}")
        if key in KEYS:
            keys = keys & set(wanted) if keys is not None else set(wanted)
        elif key in VALUES:
            values = values & set(wanted) if values is not None else set(wanted)
        else:
            raise InvalidArgument(f"'{key}' is an invalid filter; allowed are {', '.join(sorted(KEYS | VALUES))}")
    if keys is None:
        raise InvalidArgument("a filter on execution_tag.value needs one on execution_tag.key")
    asked = keys if values is None else {f"{key}={value}" for key in keys for value in values}
    return Q(tags__overlap=_kept(asked)) & ~Q(tags=[])  # the second makes the index of those that have any apply
