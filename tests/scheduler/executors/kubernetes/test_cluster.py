"""What operators may say of a cluster, and how they are told what is wrong with it."""

from __future__ import annotations

import pytest

from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, Placing, parse


def test_everything_has_a_default() -> None:
    assert parse("") == Cluster()


def test_parts_are_read() -> None:
    text = """
    name: gpu-1
    namespace: "{{ project }}--{{ domain }}"
    graces: {image: 30}
    interruptible: {tolerations: [{key: spot}]}
    resource_tolerations: {nvidia.com/gpu: [{key: gpu}]}
    """
    found = parse(text, image="team/base:1")
    assert (found.name, found.image, found.graces.image) == ("gpu-1", "team/base:1", 30)
    assert found.namespace_of("flights", "staging") == "flights--staging"
    assert found.interruptible == Placing(tolerations=({"key": "spot"},))
    assert found.resource_tolerations == {"nvidia.com/gpu": ({"key": "gpu"},)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nmae: x", "has no setting 'nmae'"),
        ("name: A_b", "a cluster's name has small letters"),
        ("name: [1]", "name has to be a text"),
        ("graces: 3", "graces has to be a mapping"),
        ("graces: {image: -1}", "image has to be a number"),
        ("tolerations: {}", "tolerations has to be a list"),
        ("create_namespaces: 'no'", "create_namespaces has to be true or false"),
        ("namespace: '{{ org }}'", "not {{ org }}"),
        ("log_links: [{name: a, uri: 'http://x/{{ podd }}'}]", "{{ podd }} is unknown"),
        ("- a", "has to be a mapping"),
        ("a: [", "no YAML"),
    ],
)
def test_what_is_wrong_is_told(text: str, said: str) -> None:
    with pytest.raises(BadCluster) as refused:
        parse(text)
    assert said in str(refused.value)
