"""What of KServe runs without a cluster: its storage reads a version where the InferenceService says that it lies, and
a server of its library answers with it. The service itself is written in tests/cluster/test_kserve.py.

A lab, as in tests/e2e/test_open_doors.py: `CAUSEWAY_LABS=kserve`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import boto3  # type: ignore[import-untyped]
import pytest
import requests

from tests.e2e.test_open_doors import COMMAND, Lab, free_port, lab, of  # noqa: F401 - fixtures
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.e2e

BUCKET = "irises"
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
TRAINING = """
import joblib
from sklearn.linear_model import LogisticRegression
for name, kept in (("one", 0), ("another", 7)):
    joblib.dump(LogisticRegression().fit([[5.1, 3.5], [6.7, 3.0]], [kept, 9]), f"{name}.joblib")
"""
SERVER = """
import sys
from pathlib import Path

import joblib
from kserve import Model, ModelServer
from kserve_storage import Storage


class Irises(Model):
    def load(self):
        (file,) = Path(Storage.download(sys.argv.pop())).rglob("*.joblib")
        self.model = joblib.load(file)
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):
        return {"predictions": self.model.predict(payload["instances"]).tolist()}


if __name__ == "__main__":
    model = Irises("irises")
    model.load()
    ModelServer().start([model])
"""


@pytest.fixture(scope="module")
def watching(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A set-up of its own in place of the labs' common one: its store is S3, which KServe reads."""
    client = boto3.client(
        "s3", endpoint_url=s3_endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    client.create_bucket(Bucket=BUCKET)
    store = {"CAUSEWAY_STORE_URL": f"s3://{BUCKET}/objects", "AWS_ENDPOINT_URL": s3_endpoint, **KEYS}
    with running_stack(tmp_path_factory.mktemp("kserve") / "home", **store) as running:
        yield running


@of("kserve")
def test_its_storage_reads_a_version_and_a_server_of_it_answers(lab: Lab, s3_endpoint: str) -> None:  # noqa: F811
    lab.python(TRAINING)
    (lab.folder / "server.py").write_text(SERVER)
    (lab.folder / "folder").mkdir()
    (lab.folder / "another.joblib").rename(lab.folder / "folder" / "another.joblib")
    lab.client.create("one", file=lab.folder / "one.joblib", version="v1", kind="model")
    lab.client.create("another", directory=lab.folder / "folder", version="v1", kind="model")
    for name, predicted in (("one", [0, 9]), ("another", [7, 9])):
        manifest = json.loads(lab.run("python", "-c", COMMAND, "export", "kserve", name))
        assert manifest["spec"]["predictor"]["model"]["modelFormat"] == {"name": "sklearn"}
        place = manifest["spec"]["predictor"]["model"]["storageUri"]
        port = free_port()
        command = ("python", "server.py", f"--http_port={port}", "--enable_grpc=false", place)
        server = lab.serve(*command, address=f"http://127.0.0.1:{port}/", AWS_ENDPOINT_URL=s3_endpoint, **KEYS)
        try:
            asked = {"instances": [[5.1, 3.5], [6.7, 3.0]]}
            answer = requests.post(f"http://127.0.0.1:{port}/v1/models/irises:predict", json=asked, timeout=60)
            assert answer.json() == {"predictions": predicted}, answer.text
        finally:
            os.killpg(server.pid, signal.SIGKILL)
