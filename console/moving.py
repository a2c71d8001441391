"""Gives a local store another place: each address below the old one, in rows and objects, becomes one below the new.

Addresses stand in texts, in JSON and in FlyteIDL's protobuf messages, there also inside msgpack (dataclasses). Messages
are rewritten by the wire format, so that no list has to say which column holds which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
from django.db import connection, transaction
from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2


def _canonical_task(spec: bytes) -> bytes:
    return task_pb2.TaskSpec.FromString(spec).template.SerializeToString(deterministic=True)


def _canonical_workflow(spec: bytes) -> bytes:
    found = workflow_pb2.WorkflowSpec.FromString(spec)
    kept = workflow_pb2.WorkflowSpec(template=found.template, sub_workflows=found.sub_workflows)
    return kept.SerializeToString(deterministic=True)


def _canonical_plan(spec: bytes) -> bytes:
    return launch_plan_pb2.LaunchPlanSpec.FromString(spec).SerializeToString(deterministic=True)


# What the digest beside a spec is of, as scheduler.actions.register makes it: the same program is the same again.
_CANONICAL = {
    "scheduler_task": _canonical_task,
    "scheduler_workflow": _canonical_workflow,
    "scheduler_launchplan": _canonical_plan,
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
LARGEST_MESSAGE = 256 * 1024**2  # bytes; the executor writes none that come near it


class NoMessage(Exception):
    """Bytes that are no protobuf message."""


def moved(data: bytes, old: bytes, new: bytes) -> bytes:
    """A message, or what one holds, with every address below `old` (no slash at its end) below `new`."""
    if old not in data:
        return data
    if data[:1] >= b"\x80" and (packed := _moved_msgpack(data, old, new)) is not None:
        return packed
    try:
        return b"".join(_fields(data, old, new))
    except NoMessage:
        return _moved_text(data, old, new)


def _moved_text(data: bytes, old: bytes, new: bytes) -> bytes:
    return data.replace(old + b"/", new + b"/")


def _fields(data: bytes, old: bytes, new: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        begin = at
        tag, at = _varint(data, at)
        kind = tag & 7
        if tag >> 3 == 0:
            raise NoMessage
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            length, start = _varint(data, at)
            at = start + length
            if at <= len(data):
                inner = moved(data[start:at], old, new)
                yield _encoded(tag) + _encoded(len(inner)) + inner
                continue
        else:
            raise NoMessage
        if at > len(data):
            raise NoMessage
        yield data[begin:at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise NoMessage
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _encoded(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _moved_msgpack(data: bytes, old: bytes, new: bytes) -> bytes | None:
    """None for what is no msgpack of a map or list."""
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=False)
    except (ValueError, msgpack.UnpackException):
        return None
    if not isinstance(value, (dict, list)):
        return None
    return bytes(msgpack.packb(_walk(value, old.decode(), new.decode())))


def _walk(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(f"{old}/", f"{new}/")
    if isinstance(value, dict):
        return {_walk(key, old, new): _walk(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_walk(each, old, new) for each in value]
    return value


def move_rows(old: str, new: str) -> int:
    """Rewrites every row that names an address below `old`; how many that were."""
    count = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, column, kind in _columns(cursor):
            if kind == "bytea":
                count += _move_messages(cursor, table, column, old.encode(), new.encode())
            else:
                count += _move_texts(cursor, table, column, kind, old, new)
    return count


def _columns(cursor: Any) -> list[tuple[str, str, str]]:
    cursor.execute(
        "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns AS c"
        " JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'"
        " AND c.data_type IN ('bytea', 'text', 'character varying', 'jsonb') ORDER BY 1, 2"
    )
    return list(cursor.fetchall())


def _move_texts(cursor: Any, table: str, column: str, kind: str, old: str, new: str) -> int:
    cast = "::jsonb" if kind == "jsonb" else ""
    cursor.execute(
        f'UPDATE "{table}" SET "{column}" = replace("{column}"::text, %s, %s){cast}'  # noqa: S608 - names of our own
        f' WHERE strpos("{column}"::text, %s) > 0',
        [f"{old}/", f"{new}/", f"{old}/"],
    )
    return int(cursor.rowcount)


def _move_messages(cursor: Any, table: str, column: str, old: bytes, new: bytes) -> int:
    """Also the digest beside a message, where that is the message's: what is registered again must be the same."""
    cursor.execute(
        f'SELECT ctid::text, "{column}" FROM "{table}" WHERE position(%s::bytea IN "{column}") > 0',  # noqa: S608
        [old],
    )
    found = [(row, bytes(data)) for row, data in cursor.fetchall()]
    for row, data in found:
        rewritten = moved(data, old, new)
        cursor.execute(
            f'UPDATE "{table}" SET "{column}" = %s WHERE ctid = %s::tid RETURNING ctid::text',  # noqa: S608
            [rewritten, row],
        )
        here = cursor.fetchone()[0]
        if column == "spec" and table in _CANONICAL:
            before, after = (hashlib.sha256(_CANONICAL[table](each)).digest() for each in (data, rewritten))
            cursor.execute(
                f'UPDATE "{table}" SET digest = %s WHERE ctid = %s::tid AND digest = %s',  # noqa: S608
                [after, here, before],
            )
    return len(found)


def move_objects(directory: Path, old: str, new: str) -> int:
    """Rewrites the messages among the objects in `directory`; how many that were. Users' own files stay as they are."""
    count = 0
    for path in directory.rglob("*.pb"):
        if not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST_MESSAGE:
            continue
        data = path.read_bytes()
        rewritten = moved(data, old.encode(), new.encode())
        if rewritten != data:
            draft = path.with_name(f"{path.name}.moving")
            draft.write_bytes(rewritten)
            draft.chmod(path.stat().st_mode & 0o777)
            draft.replace(path)
            count += 1
    return count
