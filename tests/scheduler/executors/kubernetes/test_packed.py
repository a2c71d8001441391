"""Specs of attempts, packed: what comes out is what went in, and a map's items take next to nothing."""

from __future__ import annotations

from dataclasses import replace

from scheduler.attempts.spec import Addresses, AttemptSpec, Identity, Needs, Pod
from scheduler.executors.kubernetes.packed import MODELS, Packer
from scheduler.secrets.names import Name, Request

LONG = "s3://bucket/metadata/flytesnacks/development"


def item(number: int, *, execution: str = "f1", node: str = "n0", **over: object) -> AttemptSpec:
    prefix = f"{LONG}/{execution}/{node}/0/{number}"
    spec = AttemptSpec(
        identity=Identity(f"{execution}-{node}-0-{number}", "p", "d", execution, node, 0, number, task="t", user="me"),
        task_type="python-task",
        image="image:1",
        argv=("pyflyte-map-execute", "--inputs", f"{LONG}/in.pb", "--output-prefix", prefix, *(["word"] * 30)),
        entry=1,
        env={
            "FLYTE_K8S_ARRAY_INDEX": str(number),
            **{f"FLYTE_INTERNAL_NAME_{n}": "flytesnacks" * 3 for n in range(12)},
        },
        addresses=Addresses(f"{LONG}/in.pb", prefix, f"{prefix}/raw", f"{prefix}/points", log=f"{prefix}.log"),
        needs=Needs(requests={"cpu": "1"}, limits={"nvidia.com/gpu": "1"}),
        reuse=True,
    )
    return replace(spec, **over)  # type: ignore[arg-type]


def test_what_comes_out_is_what_went_in() -> None:
    packer = Packer()
    pod = Pod({"containers": [{"name": "main", "tty": True}], "priority": 3}, {"a": "b"}, primary="main")
    given = [
        item(0),
        item(1),
        item(2, secrets=(Request(Name("g", "k")),), pod=pod, overlay=pod),
        item(3, echo={"o0": "x"}, timeout_seconds=1.5, interruptible=True, labels={"é": "'\""}),
        item(4, execution="f2", node="n7"),
        AttemptSpec(identity=Identity("alone")),
    ]
    assert [packer.pack(one).spec() for one in given] == given


def test_items_of_a_map_differ_in_a_few_words() -> None:
    packer = Packer()
    packed = [packer.pack(item(number)) for number in range(50)]
    assert len({id(one.model) for one in packed}) == 1
    assert max(len(one.body) for one in packed) < 200 < 1500 < len(packed[0].model)


def test_models_of_nodes_that_are_forgotten_stay_with_what_needs_them() -> None:
    packer = Packer()
    first = packer.pack(item(1, execution="first"))
    for number in range(MODELS + 1):
        packer.pack(item(1, execution=f"other-{number}"))
    again = packer.pack(item(2, execution="first"))
    assert first.model is not again.model
    assert first.spec() == item(1, execution="first")
    assert again.spec() == item(2, execution="first")
