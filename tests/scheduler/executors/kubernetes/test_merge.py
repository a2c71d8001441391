"""Pods over templates, in the cases that Flyte's own tests name (flytek8s/pod_helper_test.go), and ours."""

from __future__ import annotations

from scheduler.executors.kubernetes.merge import over, pod_over_template


def test_what_is_above_wins_lists_are_joined_mappings_merged() -> None:
    below = {"a": "1", "list": [1], "map": {"x": 1, "y": 1}, "kept": True}
    above = {"a": "2", "list": [2], "map": {"y": 2}, "empty": ""}
    assert over(below, above) == {"a": "2", "list": [1, 2], "map": {"x": 1, "y": 2}, "kept": True, "empty": ""}
    assert below["list"] == [1]


def test_emptiness_lets_through_and_false_does_not() -> None:
    assert over({"a": "1", "flag": True}, {"a": "", "flag": False}) == {"a": "1", "flag": False}


def test_default_lies_under_every_container_and_primary_under_the_tasks() -> None:
    template = {
        "containers": [
            {"name": "default", "terminationMessagePath": "/dev/default"},
            {"name": "primary", "workingDir": "/primary"},
            {"name": "bar", "workingDir": "/bar"},
        ]
    }
    spec = {"containers": [{"name": "foo"}, {"name": "bar"}]}
    merged = pod_over_template(template, spec, "foo", "")
    assert merged["containers"] == [
        {"name": "foo", "terminationMessagePath": "/dev/default", "workingDir": "/primary"},
        {"name": "bar", "terminationMessagePath": "/dev/default", "workingDir": "/bar"},
    ]


def test_init_containers_have_templates_of_their_own() -> None:
    template = {"initContainers": [{"name": "default-init", "a": 1}, {"name": "primary-init", "b": 1}]}
    spec = {"containers": [{"name": "foo"}], "initContainers": [{"name": "in"}, {"name": "other"}]}
    merged = pod_over_template(template, spec, "foo", "in")
    assert merged["initContainers"] == [{"name": "in", "a": 1, "b": 1}, {"name": "other", "a": 1}]


def test_containers_that_only_a_template_has_are_left_out() -> None:
    merged = pod_over_template({"initContainers": [{"name": "x"}]}, {"containers": [{"name": "foo"}]}, "foo", "")
    assert "initContainers" not in merged


def test_a_pull_policy_that_the_cluster_put_into_a_template_is_not_the_tasks() -> None:
    """The API server stores a PodTemplate with its defaults: `Always` for a stand-in without a tag."""
    template = {"containers": [{"name": "primary", "image": "noop", "imagePullPolicy": "Always"}]}
    spec = {"containers": [{"name": "main", "image": "team/job:1"}]}
    assert "imagePullPolicy" not in pod_over_template(template, spec, "main", "")["containers"][0]
    template["containers"][0]["image"] = "noop:1"
    assert pod_over_template(template, spec, "main", "")["containers"][0]["imagePullPolicy"] == "Always"
