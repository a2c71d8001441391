#!/bin/sh
# flytepropeller 1.16.8: a map without `concurrency` has no limit at all; flytekit 1.16.31 says that it inherits the workflow's.
#
# `map_task(concurrency=None)` leaves ArrayNode's `parallelism` unset, and flytekit's words for that are that the node
# inherits the parallelism of its workflow. What the engine makes of it is a setting of its own (array-node-config.
# default-parallelism-behavior: unlimited, workflow or hybrid), whose default is `unlimited`: all items of a map of 5,000
# are started together beside an execution's max_parallelism of 25. Only `hybrid` and `workflow` are what flytekit describes.
#
# Seen on 2026-11-30 (needs Go 1.23 or later):
#   flytekit: parallelism set: False; left unspecified it will inherit parallelism from the workflow
#   flytepropeller: unlimited
set -eu
command -v go >/dev/null 2>&1 || { echo "go is needed" >&2; exit 1; }
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
cat >"$folder/mapped.py" <<'PY'
import re

from flytekit import map_task, task, workflow
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.translator import get_serializable


@task
def one(n: int) -> int:
    return n


@workflow
def many(ns: list[int]) -> list[int]:
    return map_task(one)(n=ns)


entities = {}
image = ImageConfig(default_image=Image("default", "example.com/image", "v1"))
get_serializable(entities, SerializationSettings(image_config=image, project="p", domain="d", version="v"), many)
compiled = next(made for entity, made in entities.items() if entity is many).to_flyte_idl()
array = compiled.template.nodes[0].array_node
words = re.search(r"will (inherit parallelism from the workflow)", " ".join(map_task.__doc__.split()))
is_set = array.WhichOneof("parallelism_option") is not None
print(f"flytekit: parallelism set: {is_set}; left unspecified it will {words and words[1]}")
PY
mkdir "$folder/defaults"
cat >"$folder/defaults/go.mod" <<'GO'
module example.com/defaults

go 1.23

require github.com/flyteorg/flyte/flytepropeller v1.16.8

replace (
	github.com/flyteorg/flyte/datacatalog => github.com/flyteorg/flyte/datacatalog v1.16.8
	github.com/flyteorg/flyte/flyteadmin => github.com/flyteorg/flyte/flyteadmin v1.16.8
	github.com/flyteorg/flyte/flytecopilot => github.com/flyteorg/flyte/flytecopilot v1.16.8
	github.com/flyteorg/flyte/flyteidl => github.com/flyteorg/flyte/flyteidl v1.16.8
	github.com/flyteorg/flyte/flyteplugins => github.com/flyteorg/flyte/flyteplugins v1.16.8
	github.com/flyteorg/flyte/flytestdlib => github.com/flyteorg/flyte/flytestdlib v1.16.8
)
GO
cat >"$folder/defaults/main.go" <<'GO'
package main

import (
	"fmt"

	"github.com/flyteorg/flyte/flytepropeller/pkg/controller/config"
)

func main() {
	fmt.Println("flytepropeller:", config.GetConfig().ArrayNode.DefaultParallelismBehavior)
}
GO
found=$("$folder/venv/bin/python" "$folder/mapped.py")
export GOFLAGS=-mod=mod GOPATH="$folder/go" GOCACHE="$folder/cache"
found="$found
$(cd "$folder/defaults" && go run . 2>"$folder/go.log" || tail -3 "$folder/go.log")"
echo "$found"
[ "$found" = "flytekit: parallelism set: False; left unspecified it will inherit parallelism from the workflow
flytepropeller: unlimited" ]
