"""A version in a list is told by a function that says what its serializer would say."""

from __future__ import annotations

from collections import namedtuple
from datetime import datetime, timedelta, timezone
from operator import attrgetter
from typing import Any

import pytest
from django.utils import timezone as django_timezone
from hypothesis import given
from hypothesis import strategies as st

from artifacts.models import Artifact, ArtifactVersion, Kind
from console.rest.base import represent
from console.rest.versions import SUMMARY, VersionSummary, summary_of

TEXTS = st.text(max_size=8)
MOMENTS = st.none() | st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-5))]),
)
VERSIONS = st.builds(
    ArtifactVersion,
    pk=st.integers(1),
    artifact=st.builds(Artifact, project=TEXTS, domain=TEXTS, name=TEXTS, granularity=st.integers(0, 4)),
    kind=st.sampled_from(Kind.values),
    size_bytes=st.none() | st.integers(0),
    time_partition=MOMENTS,
    quarantined_at=MOMENTS,
    removed_at=MOMENTS,
    created_at=MOMENTS.filter(bool),
    is_shadow=st.booleans(),
    partitions=st.dictionaries(TEXTS, TEXTS, max_size=2),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=2),
    metrics=st.dictionaries(TEXTS, st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    **dict.fromkeys(("version", "uri", "content_hash", "execution_key", "node_id", "producer", "created_by"), TEXTS),
)


Row = namedtuple("Row", SUMMARY)  # type: ignore[misc] # noqa: PYI024 - as Django makes them


def row_of(version: ArtifactVersion) -> Any:
    return Row(*(attrgetter(column.replace("__", "."))(version) for column in SUMMARY))


@pytest.mark.parametrize("zone", [None, "America/New_York"])
@given(version=VERSIONS)
def test_it_says_the_same(zone: str | None, version: ArtifactVersion) -> None:
    with django_timezone.override(zone):
        said: dict[str, Any] = summary_of(row_of(version))
        assert said == represent(VersionSummary, version)
        assert list(said) == list(VersionSummary().fields)
