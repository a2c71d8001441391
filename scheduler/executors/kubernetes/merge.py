"""Pods laid over pod templates, as Flyte 1.16.8 does it (flytek8s/pod_helper.go, MergeBasePodSpecOntoTemplate).

What the task says wins over the template, lists are joined (the template's first), mappings merged. A container of the
template named `default` is under every container, `primary` under the task's own; for init containers `default-init`
and `primary-init`. Other containers of the template are under those of the same name, and else left out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
DEFAULT, PRIMARY = "default", "primary"
DEFAULT_INIT, PRIMARY_INIT = "default-init", "primary-init"


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Json:
    """`above` laid over `below`, as Flyte's mergo.Merge with overriding and appended lists; neither is changed.

    What is empty above lets through what is below. `false` and 0 do not: in JSON they are only there if somebody
    wrote them, while Flyte, which merges Go's structs, cannot tell.
    """
    merged = copy.deepcopy(dict(below))
    for name, value in above.items():
        beneath = merged.get(name)
        if isinstance(value, Mapping) and isinstance(beneath, Mapping):
            merged[name] = over(beneath, value)
        elif isinstance(value, list) and isinstance(beneath, list):
            merged[name] = beneath + copy.deepcopy(value)
        elif value not in (None, "", {}, []) or name not in merged:
            merged[name] = copy.deepcopy(value)
    return merged


def pod_over_template(template: Mapping[str, Any], spec: Mapping[str, Any], primary: str, primary_init: str) -> Json:
    """The pod spec laid over that of a template. `primary_init`: the init container that fetches a task's inputs."""
    merged = over(template, spec)
    merged["containers"] = _containers(
        _list(template, "containers"), _list(spec, "containers"), primary, DEFAULT, PRIMARY
    )
    init = _containers(
        _list(template, "initContainers"), _list(spec, "initContainers"), primary_init, DEFAULT_INIT, PRIMARY_INIT
    )
    merged.pop("initContainers", None)
    return merged | ({"initContainers": init} if init else {})


def metadata_over_template(template: Mapping[str, Any], own: Mapping[str, Any]) -> Json:
    """Labels, annotations and the like; a template's own name and place are not the pod's."""
    kept = {name: value for name, value in template.items() if name in ("labels", "annotations", "finalizers")}
    return over(kept, own)


def resources_beneath(template: Mapping[str, Any]) -> Json:
    """What the pod spec of a template says of the resources of the task's own container."""
    said: Json = {}
    for name in (DEFAULT, PRIMARY):
        for one in _list(template, "containers"):
            if one.get("name") == name and isinstance(one.get("resources"), Mapping):
                said = over(said, one["resources"])
    return said


def _containers(beneath: Sequence[Json], own: Sequence[Json], primary: str, default: str, special: str) -> list[Json]:
    named = {str(one.get("name")): one for one in beneath}
    merged = []
    for container in own:
        name = str(container.get("name"))
        layers = [named.get(default)]
        if name == primary:
            layers.append(named.get(special))
        elif name != default:
            layers.append(named.get(name))
        made: Json = {}
        for layer in [*(_as_written(one) for one in layers if one is not None), container]:
            made = over(made, layer)
        merged.append(made)
    return merged


def _as_written(container: Json) -> Json:
    """Without the pull policy that the API server itself put into the PodTemplate object when it was stored.

    It is that of the template's own image, often a stand-in without a tag and so `Always`: a task's image that lies on
    the node would be asked for at a registry. Nothing in the object tells it from one that somebody wrote.
    """
    image = str(container.get("image") or "").rpartition("/")[2]
    newest = "@" not in image and (":" not in image or image.endswith(":latest"))
    if container.get("imagePullPolicy") != ("Always" if newest else "IfNotPresent"):
        return container
    return {name: value for name, value in container.items() if name != "imagePullPolicy"}


def _list(spec: Mapping[str, Any], name: str) -> list[Json]:
    found = spec.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
