#!/bin/sh
# flytekit 1.16.31: where no Docker daemon answers, the default builder cannot ask the registry (of any but Docker Hub), takes the
# image of an ImageSpec for built, and registers the task with its name. Nothing was built, nothing is pushed, the exit code is 0;
# the first pod says so. FLYTE_IMG_FAST_FAIL=1 makes it an error.
#
# Seen on 2026-11-30:
#   no daemon: registered with registry.invalid/team/lab:<hash>, built: no
#   with FLYTE_IMG_FAST_FAIL=1: RuntimeError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 setuptools 2>/dev/null
cat >"$folder/taken.py" <<'PY'
from flytekit import ImageSpec
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.python_auto_container import get_registerable_container_image
from flytekit.image_spec.default_builder import DefaultImageBuilder

built = []
DefaultImageBuilder.build_image = lambda self, spec: built.append(spec)
spec = ImageSpec(name="lab", registry="registry.invalid/team", packages=["tabulate"], builder="default")
try:
    name = get_registerable_container_image(spec, SerializationSettings(ImageConfig()).image_config)
    print(f"registered with {name.partition(':')[0]}:<hash>, built: {'yes' if built else 'no'}")
except RuntimeError:
    print("RuntimeError")
PY
export DOCKER_HOST="unix://$folder/no.sock"
plain=$("$folder/venv/bin/python" "$folder/taken.py" 2>/dev/null | tail -1)
fast=$(FLYTE_IMG_FAST_FAIL=1 "$folder/venv/bin/python" "$folder/taken.py" 2>/dev/null | tail -1)
printf 'no daemon: %s\nwith FLYTE_IMG_FAST_FAIL=1: %s\n' "$plain" "$fast"
[ "$plain" = "registered with registry.invalid/team/lab:<hash>, built: no" ]
[ "$fast" = "RuntimeError" ]
