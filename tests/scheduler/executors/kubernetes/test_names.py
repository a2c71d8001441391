"""Names and marks of pods: the same for the same attempt, and never what a cluster refuses."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts.spec import Identity
from scheduler.executors.kubernetes import names
from tests.scheduler.executors.kubernetes.specs import IDENTITY, named

DNS = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)


def test_a_pod_is_named_by_execution_node_and_attempt() -> None:
    assert names.pod_name(IDENTITY, "me").startswith("f1-n0-0-")
    assert names.pod_name(replace(IDENTITY, index=3), "me").startswith("f1-n0-0-3-")


def test_the_same_attempt_has_the_same_pod_and_another_installations_has_another() -> None:
    assert names.pod_name(IDENTITY, "me") == names.pod_name(IDENTITY, "me")
    assert names.pod_name(IDENTITY, "me") != names.pod_name(IDENTITY, "you")
    assert names.pod_name(named("a"), "me") != names.pod_name(named("b"), "me")


@given(st.builds(Identity, name=st.text(), project=st.text(), execution=st.text(), node=st.text(), user=st.text()))
def test_whatever_things_are_called_a_cluster_takes_it(identity: Identity) -> None:
    assert DNS.fullmatch(names.pod_name(identity, "me"))
    labels, annotations = names.marks(identity, "me", 7, "gpu-1")
    for value in labels.values():
        assert VALUE.fullmatch(value)
    assert annotations.get(names.NODE, "") == identity.node
    pod = {"metadata": {"labels": labels}}
    assert names.attempt_id_of(pod) == 7
    assert names.is_of(pod, "gpu-1") and not names.is_of(pod, "gpu-2")


def test_what_is_too_long_for_a_label_is_hashed_and_whole_in_the_annotation() -> None:
    long = "n0-" + "x" * 80
    labels, annotations = names.marks(replace(IDENTITY, node=long), "me", 7, "gpu-1")
    assert annotations[names.NODE] == long
    assert len(labels[names.NODE]) <= 63
    other, _ = names.marks(replace(IDENTITY, node=long + "y"), "me", 7, "gpu-1")
    assert other[names.NODE] != labels[names.NODE]


def test_plain_names_stand_in_labels_as_they_are() -> None:
    labels, _ = names.marks(replace(IDENTITY, index=2), "me", 7, "gpu-1")
    assert labels[names.EXECUTION] == "f1"
    assert labels[names.NODE] == "n0"
    assert labels[names.ATTEMPT] == "0"
    assert labels[names.ITEM] == "2"
    assert labels[names.USER] == "ada"


def test_a_pod_without_our_mark_is_nobodys() -> None:
    assert names.attempt_id_of({"metadata": {"labels": {names.ATTEMPT_ID: "x"}}}) is None
    assert names.attempt_id_of({}) is None
