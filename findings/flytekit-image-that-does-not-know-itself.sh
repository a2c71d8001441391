#!/bin/sh
# flytekit 1.16.31: `ImageSpec.is_container()`, by which a program is to import what only its image has, is
# - true wherever no task runs, so also at the client that registers: `if spec.is_container(): import x` asks the client for x;
# - false inside of the spec's own image where the program is in the image (`pyflyte register --copy none`): the id that is written
#   into the image is that of the spec with `source_root` and `source_copy_mode`, which are set while it is registered, and in
#   the pod they are not.
#
# Seen on 2026-11-30:
#   at the client: True
#   in its image, fast: True
#   in its image, --copy none: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 setuptools 2>/dev/null
cat >"$folder/known.py" <<'PY'
import os
import tempfile

from flytekit import ImageSpec
from flytekit.configuration import FastSerializationSettings, ImageConfig, SerializationSettings
from flytekit.core.context_manager import ExecutionState, FlyteContextManager
from flytekit.core.python_auto_container import update_image_spec_copy_handling
from flytekit.image_spec.default_builder import create_docker_context


def spec():
    return ImageSpec(name="lab", registry="registry.invalid", packages=["tabulate"])


def written(fast):
    """The id in the image, as the builder writes it."""
    built = spec()
    root = tempfile.mkdtemp()
    settings = SerializationSettings(
        ImageConfig(), source_root=root, fast_serialization_settings=FastSerializationSettings(enabled=fast)
    )
    update_image_spec_copy_handling(built, settings)
    folder = tempfile.mkdtemp()
    create_docker_context(built, __import__("pathlib").Path(folder))
    (line,) = [line for line in open(f"{folder}/Dockerfile") if line.startswith("ENV _F_IMG_ID=")]
    return line.strip().partition("=")[2]


print("at the client:", spec().is_container())
context = FlyteContextManager.current_context()
running = context.new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
for what, fast in (("fast", True), ("--copy none", False)):
    os.environ["_F_IMG_ID"] = written(fast)
    with FlyteContextManager.with_context(context.with_execution_state(running)):
        print(f"in its image, {what}:", spec().is_container())
PY
found=$(cd "$folder" && "$folder/venv/bin/python" known.py 2>/dev/null)
echo "$found"
[ "$found" = "at the client: True
in its image, fast: True
in its image, --copy none: False" ]
