from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.arrays import array_of

TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]) | st.sampled_from("\"\\{},\n' "))


@pytest.mark.django_db
@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | TEXTS | st.sampled_from(["NULL", "null", "", '{"a": "\\\\"}']), max_size=6))
def test_the_database_reads_what_was_written(texts: list[str | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [array_of(texts)])
        assert cursor.fetchone() == (texts,)
