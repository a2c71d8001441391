#!/bin/sh
# flytekitplugins-spark 1.16.31 has a Spark task start /opt/venv/bin/entrypoint.py with /opt/venv/bin/python3, whatever its image is and wherever
# it is registered from, unless applications_path and executor_path say otherwise (or an ImageSpec without a base image does). The file is
# one of flytekit's programs, and lies where pip puts these in the image: as a rule in /usr/local/bin. Elsewhere than in /opt/venv the driver
# ends with "can't open file '/opt/venv/bin/entrypoint.py'".
#
# Seen on 2026-11-30:
#   starts: local:///opt/venv/bin/entrypoint.py with /opt/venv/bin/python3
#   the program is beside the Python that flytekit was installed with: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 flytekitplugins-spark==1.16.31 2>/dev/null
cat >"$folder/sends.py" <<'PY'
import sys
from pathlib import Path

from flytekit import task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekitplugins.spark import Spark


@task(task_config=Spark(), container_image="example.com/own:1")
def total() -> int:
    return 1


image = Image("default", "example.com/own", "1")
sent = total.get_custom(SerializationSettings(image_config=ImageConfig(default_image=image, images=[image]), version="1"))
print(f"starts: {sent['mainApplicationFile']} with {sent['executorPath']}")
print(f"the program is beside the Python that flytekit was installed with: {(Path(sys.executable).parent / 'entrypoint.py').exists()}")
PY
found=$("$folder/venv/bin/python" "$folder/sends.py" 2>/dev/null)
echo "$found"
[ "$found" = "starts: local:///opt/venv/bin/entrypoint.py with /opt/venv/bin/python3
the program is beside the Python that flytekit was installed with: True" ]
