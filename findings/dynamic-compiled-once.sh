#!/bin/sh
# flytekit 1.16.31: a @dynamic that is compiled a second time in one process, with other inputs, gives the first one's workflow.
#
# What a dynamic task returns is kept on the task object when it is compiled for the first time. In a pod of its own nobody sees
# that; in a process that runs several tasks (reused pods, tests, a warm executor) the second run of the same dynamic task
# returns the nodes of the first.
#
# Seen on 2026-11-28 (nodes for 2 inputs, then for 5, then for 5 after forgetting `_wf`):
#   2 2 5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
cat >"$folder/twice.py" <<'PY'
from flytekit import dynamic, task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import ExecutionState, FlyteContextManager


@task
def double(n: int) -> int:
    return 2 * n


@dynamic
def each(ns: list[int]) -> list[int]:
    return [double(n=n) for n in ns]


image = Image(name="default", fqn="example.org/image", tag="1")
settings = SerializationSettings(project="p", domain="d", version="v", image_config=ImageConfig(default_image=image))


def nodes(count):
    context = FlyteContextManager.current_context().with_serialization_settings(settings)
    state = context.execution_state.with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    with FlyteContextManager.with_context(context.with_execution_state(state)) as inside:
        return len(each.compile_into_workflow(inside, each._task_function, ns=list(range(count))).nodes)


first, second = nodes(2), nodes(5)
each._wf = None
print(first, second, nodes(5))
PY
found=$("$folder/venv/bin/python" "$folder/twice.py" 2>/dev/null | tail -1)
echo "$found"
[ "$found" = "2 2 5" ]
