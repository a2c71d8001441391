"""Settings that a task gives among its variables: what means nothing or could not be kept is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
from flyteidl.core import literals_pb2, tasks_pb2
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from scheduler.environment import REUSE, SETTINGS, check_environment, check_setting
from scheduler.task_resources import check_template

CONTAINER = {"image": "i", "env": [{"key": REUSE, "value": "1"}]}
POD = {"containers": [{"name": "primary", "env": [{"name": REUSE, "value": "1"}]}, {"name": "beside"}]}


@given(st.sampled_from(sorted(SETTINGS)), st.text(max_size=5) | st.sampled_from(["0", "1", "7.5", "flytekit"]))
def test_a_setting_has_one_of_its_values_or_is_refused_with_them(name: str, value: str) -> None:
    allowed = {
        REUSE: value in ("0", "1"),
        "CAUSEWAY_RUNNER": value in ("causeway", "flytekit"),
        "CAUSEWAY_MOUNTS_DAYS": value.isascii() and value.replace(".", "", 1).isdigit(),
    }
    variable = literals_pb2.KeyValuePair(key=name, value=value.replace("\x00", ""))
    if allowed[name]:
        check_environment([variable])
        return
    with pytest.raises(InvalidArgument) as refused:
        check_setting(name, value, "container.env")
    assert refused.value.message.startswith(f"container.env: {name} is {value!r}; it may be ")


@pytest.mark.parametrize("value", ["yes", "true", "", "2", " 1"])
def test_a_value_of_reuse_that_means_nothing_is_refused_wherever_variables_are_given(value: str) -> None:
    variable = literals_pb2.KeyValuePair(key=REUSE, value=value)
    with pytest.raises(InvalidArgument, match="it may be 1 .attempts may share a process or a pod. or 0"):
        check_environment([variable])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"container": CONTAINER, "securityContext": {"secrets": [{"group": "g", "key": "k"}]}}, "asks for secrets"),
        ({"container": {**CONTAINER, "dataConfig": {"enabled": True}}}, "a container of its own words"),
        ({"k8sPod": {"podSpec": POD}, "config": {"primary_container_name": "primary"}}, "several containers"),
        (
            {"type": "dask", "container": CONTAINER, "custom": {"workers": {"numberOfWorkers": 2}}},
            "several processes",
        ),
    ],
)
def test_a_task_that_shares_and_asks_for_what_cannot_be_shared_is_refused(fields: dict[str, Any], words: str) -> None:
    task = json_format.ParseDict({"type": "python-task", **fields}, tasks_pb2.TaskTemplate())
    task.id.name = "train"
    with pytest.raises(InvalidArgument) as refused:
        check_template(task, None)
    assert refused.value.message.startswith("task train says CAUSEWAY_REUSE=1 and asks for ")
    assert words in refused.value.message
