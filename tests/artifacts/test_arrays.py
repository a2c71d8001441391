from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.arrays import array_of, column_of

TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]) | st.sampled_from("\"\\{},\n' "))


@pytest.mark.django_db
@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | TEXTS | st.sampled_from(["NULL", "null", "", '{"a": "\\\\"}']), max_size=6))
def test_the_database_reads_what_was_written(texts: list[str | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [array_of(texts)])
        assert cursor.fetchone() == (texts,)


@pytest.mark.parametrize("texts", [["a\0b"], ["a", "b\0", None], ["\0"], [None, "\0\0"]])
def test_a_nul_is_refused_and_parts_no_text(texts: list[str | None]) -> None:
    with pytest.raises(ValueError, match="NUL"):
        array_of(texts)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, None, -(2**62)]),
        ("float8", [0.1, 1e300, None]),
        ("boolean", [True, False, None]),
        ("timestamptz", [datetime(1, 2, 3, tzinfo=timezone.utc), datetime(2026, 5, 17, 8, 0, 0, 7, timezone.utc)]),
        ("uuid", [uuid.UUID(int=7), None]),
        ("bytea", [b"", bytes(range(256)), None]),
        ("text", []),
    ],
)
def test_the_database_reads_other_values(kind: str, values: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [column_of(values)])
        (found,) = cursor.fetchone()
    assert [bytes(one) if isinstance(one, memoryview) else one for one in found] == values
