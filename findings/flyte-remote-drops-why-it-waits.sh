#!/bin/sh
# flytekit 1.16.31: what the server says of why a task waits never reaches FlyteRemote or pyflyte.
#
# flyteidl's TaskExecutionClosure has `reason` ("Unschedulable: 0/3 nodes ...") and `reasons`, each with its time. flytekit's own
# model of it has neither, so that FlyteTaskExecution of a task that waits for a node or a quota looks like any that is
# queued, and a closure that goes through the model comes out without them. Who polls has to read the protobuf itself.
#
# Seen on 2026-11-28:
#   sent: reason=Unschedulable reasons=1
#   after flytekit's model: reason= reasons=0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
cat >"$folder/why.py" <<'PY'
from flyteidl.admin import task_execution_pb2 as admin
from flyteidl.core import execution_pb2
from flytekit.models.admin.task_execution import TaskExecutionClosure


def told(name, closure):
    print(f"{name}: reason={closure.reason} reasons={len(closure.reasons)}")


sent = admin.TaskExecutionClosure(
    phase=execution_pb2.TaskExecution.WAITING_FOR_RESOURCES,
    reason="Unschedulable",
    reasons=[admin.Reason(message="Unschedulable")],
)
for at in (sent.created_at, sent.updated_at, sent.started_at):
    at.FromSeconds(1_764_000_000)
told("sent", sent)
told("after flytekit's model", TaskExecutionClosure.from_flyte_idl(sent).to_flyte_idl())
PY
found=$("$folder/venv/bin/python" "$folder/why.py")
echo "$found"
[ "$found" = "sent: reason=Unschedulable reasons=1
after flytekit's model: reason= reasons=0" ]
