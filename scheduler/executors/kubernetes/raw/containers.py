"""The containers beside a raw container: one fetches its inputs before it starts, one keeps its outputs at its end.

They run Causeway's own code (pod.py), which goes along in a variable: any image with Python 3.8 and flytekit will do,
and nothing has to be installed on the cluster.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import AttemptSpec, DataConfig
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.containers import as_the_cluster_asks

Json = dict[str, Any]
INPUTS, OUTPUTS = "causeway-inputs", "causeway-outputs"  # containers and volumes
INPUT_PATH, OUTPUT_PATH = "/var/inputs", "/var/outputs"  # Flyte's copilot's
UPLOAD_SECONDS = 3600  # as Flyte's copilot may take for the outputs
PACKAGE = "causeway_raw"
_START = f"""
import base64, os, sys
path = "/tmp/{PACKAGE}.zip"
open(path, "wb").write(base64.b64decode(os.environ["RAW_CONTAINER_CODE"]))
sys.path.insert(0, path)
from {PACKAGE}.pod import main
main(sys.argv[1])
"""
_NEEDS = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}


def add(pod: Json, main: Json, spec: AttemptSpec, data: DataConfig, cluster: Cluster, shared: Json) -> str:
    """Add both to the pod spec, and the folders to `main`. Returns the name of the container of the inputs.

    `shared`: variables (`env`, as a mapping) and `envFrom`, which reach the store.
    """
    image = cluster.data_image or cluster.image
    if not image:
        raise InvalidArgument(
            f"task {spec.identity.task} is a raw container, and the cluster {cluster.name} has no image for its inputs "
            "and outputs: `data_image` in its settings, any image with flytekit"
        )
    inputs, outputs = data.input_path or INPUT_PATH, data.output_path or OUTPUT_PATH
    told = {
        **asdict(data),
        "input_path": inputs,
        "output_path": outputs,
        "inputs_uri": spec.addresses.inputs,
        "output_prefix": spec.addresses.output_prefix,
        "raw_output_prefix": spec.addresses.raw_output_prefix,
    }
    variables = {**shared["env"], "RAW_CONTAINER_CODE": code(), "RAW_CONTAINER_DATA": json.dumps(told)}
    given: Json = {"envFrom": shared["envFrom"]} if shared["envFrom"] else {}
    as_the_cluster_asks(given, cluster)
    uploader = {**_container(OUTPUTS, "outputs", image, variables, outputs), **given, "restartPolicy": "Always"}
    fetcher = {**_container(INPUTS, "inputs", image, variables, inputs), **given}
    # The sidecar first: it listens for the end before the task's container can begin.
    pod["initContainers"] = [uploader, *(pod.get("initContainers") or ()), fetcher]
    pod.setdefault("volumes", []).extend({"name": name, "emptyDir": {}} for name in (INPUTS, OUTPUTS))
    main.setdefault("volumeMounts", []).extend(
        {"name": name, "mountPath": path} for name, path in ((INPUTS, inputs), (OUTPUTS, outputs))
    )
    pod["terminationGracePeriodSeconds"] = UPLOAD_SECONDS
    return INPUTS


@cache
def code() -> str:
    """The package that runs in the pod, as base64 of a zip file."""
    here, local = Path(__file__).parent, Path(__file__).parents[2] / "local" / "zygote"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{PACKAGE}/__init__.py"), "")
        for path in (here / "pod.py", local / "raw.py", local / "folders.py"):
            archive.writestr(zipfile.ZipInfo(f"{PACKAGE}/{path.name}"), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return base64.b64encode(packed.getvalue()).decode()


def _container(name: str, part: str, image: str, env: Mapping[str, str], path: str) -> Json:
    return {
        "name": name,
        "image": image,
        "command": ["python3", "-c", _START, part],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "volumeMounts": [{"name": name, "mountPath": path}],
        "resources": _NEEDS,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
