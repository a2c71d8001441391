"""A version as KServe's InferenceService, held against the schema of KServe's own definition, and how it is applied."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from causeway import kserve
from causeway.client import CausewayError, Client
from causeway.version import Version

SCHEMA = json.loads((Path(__file__).parent / "kserve.json").read_text())


def published(client: Client, uri: str, name: str = "irises", **options: Any) -> Version:
    client.create(name, external_ref=uri, version="v7", kind="model", **options)
    return client.get(name)


def fits(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, which has nothing that KServe's definition does not know, and each thing as it is there."""
    jsonschema.validate(manifest, SCHEMA, jsonschema.Draft202012Validator)
    return manifest


def test_a_manifest_names_the_version_and_is_what_kserve_takes(client: Client) -> None:
    made = fits(kserve.inference_service(published(client, "s3://models/irises.joblib"), namespace="models"))
    assert made["metadata"] == {
        "name": "irises",
        "namespace": "models",
        "labels": {"causeway/project": "demo", "causeway/domain": "development", "causeway/artifact": "irises"},
        "annotations": {"causeway/version": "flyte://av0.1/demo/development/irises@v7"},
    }
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/irises.joblib"}
    assert made["spec"] == {"predictor": {"model": model}}


def test_more_of_the_predictor_goes_beside_and_into_it(client: Client) -> None:
    version = published(client, "s3://models/boost.ubj")
    more = {"minReplicas": 2, "model": {"resources": {"limits": {"memory": "1Gi"}}, "protocolVersion": "v2"}}
    made = fits(kserve.inference_service(version, account="readers", runtime="kserve-mlserver", predictor=more))
    assert made["spec"]["predictor"] == {
        "serviceAccountName": "readers",
        "minReplicas": 2,
        "model": {
            "modelFormat": {"name": "xgboost"},
            "storageUri": "s3://models/boost.ubj",
            "runtime": "kserve-mlserver",
            "resources": {"limits": {"memory": "1Gi"}},
            "protocolVersion": "v2",
        },
    }


def test_a_folder_has_a_slash_behind_it(client: Client) -> None:
    """Else KServe reads its neighbours too, whose names begin like its own."""
    version = published(client, "s3://models/fish", shape="directory")
    made = kserve.inference_service(version, model_format="mlflow")
    assert made["spec"]["predictor"]["model"]["storageUri"] == "s3://models/fish/"


def test_what_kserve_could_not_read_or_tell_is_refused(client: Client) -> None:
    with pytest.raises(CausewayError, match="mlflow-artifacts://host/1, which KServe cannot read"):
        kserve.inference_service(published(client, "mlflow-artifacts://host/1", "far"), model_format="mlflow")
    with pytest.raises(CausewayError, match=r"odd@v7 \(weights.bin\) is of no form"):
        kserve.inference_service(published(client, "s3://models/weights.bin", "odd"))
    client.create("number", 3, version="v1")
    with pytest.raises(CausewayError, match="is a plain value"):
        kserve.inference_service(client.get("number"), model_format="sklearn")


@pytest.mark.parametrize(
    ("name", "service"),
    [("irises", "irises"), ("Ride Count/day", "ride-count-day"), ("2026_fish", "fish"), ("a" * 50, "a" * 40)],
)
def test_services_are_called_as_kubernetes_allows(name: str, service: str) -> None:
    assert kserve.service_name(name) == service


def test_what_leaves_no_name_has_to_be_called() -> None:
    with pytest.raises(CausewayError, match="say how"):
        kserve.service_name("2026")


def test_labels_that_kubernetes_would_refuse_are_left_out(client: Client) -> None:
    made = fits(kserve.inference_service(published(client, "s3://m/a.onnx", "größe in cm")))
    assert made["metadata"]["name"] == "gr-e-in-cm"
    assert set(made["metadata"]["labels"]) == {"causeway/project", "causeway/domain"}


class Kubernetes(ThreadingHTTPServer):
    """The API of one object: what was applied, and when it says that it is ready."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str, str]] = []
        self.object: dict[str, Any] = {}
        self.looks = 2  # until it is ready
        self.refuses = ""


class Handler(BaseHTTPRequestHandler):
    server: Kubernetes

    def do_PATCH(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.object = json.loads(self.rfile.read(length))
        self._note()
        if self.server.refuses:
            self._answer(403, {"kind": "Status", "message": self.server.refuses})
        else:
            self._answer(200, self.server.object)

    def do_GET(self) -> None:
        self._note()
        self.server.looks -= 1
        ready = "True" if self.server.looks <= 0 else "False"
        condition = {"type": "Ready", "status": ready, "reason": "Pulling"}
        self._answer(200, {**self.server.object, "status": {"conditions": [condition]}})

    def _note(self) -> None:
        said = self.headers.get("Authorization", ""), self.headers.get("Content-Type", "")
        self.server.asked.append((self.command, self.path, *said))

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    monkeypatch.setattr(kserve, "PAUSE", 0.01)
    with Kubernetes() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(kubernetes: Kubernetes) -> kserve.Api:
    return kserve.Api(f"http://127.0.0.1:{kubernetes.server_address[1]}", token="t0ken")


def manifest() -> dict[str, Any]:
    return {
        "apiVersion": kserve.API_VERSION,
        "kind": kserve.KIND,
        "metadata": {"name": "irises", "namespace": "models"},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://m/a.joblib"}}},
    }


def test_it_is_applied_on_the_servers_side_and_waited_for(kubernetes: Kubernetes, api: kserve.Api) -> None:
    found = kserve.apply(manifest(), api=api, wait=timedelta(seconds=10))
    assert kserve.is_ready(found)
    path = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/irises"
    first, *looks = kubernetes.asked
    applied = ("PATCH", f"{path}?fieldManager=causeway&force=true", "Bearer t0ken", "application/apply-patch+yaml")
    assert first == applied and {look[:2] for look in looks} == {("GET", path)}
    assert kubernetes.object == manifest()


def test_what_the_api_refuses_and_what_takes_too_long_is_said(kubernetes: Kubernetes, api: kserve.Api) -> None:
    kubernetes.looks = 10_000
    with pytest.raises(CausewayError, match="irises is not ready after 0:00:00.1.*Ready Pulling"):
        kserve.apply(manifest(), api=api, wait=timedelta(seconds=0.1))
    kubernetes.refuses = "inferenceservices is forbidden"
    with pytest.raises(CausewayError, match="Kubernetes: inferenceservices is forbidden") as refused:
        kserve.apply(manifest(), api=api)
    assert refused.value.status == 403
    with pytest.raises(CausewayError, match="cannot be reached"):
        kserve.apply(manifest(), api=kserve.Api("http://127.0.0.1:9"))


def test_outside_of_a_pod_the_api_has_to_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(CausewayError, match="this is no pod with a service account"):
        kserve.apply(manifest())
    for name, text in (("token", "abc\n"), ("ca.crt", "")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(kserve, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.1.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert kserve.Api.of_pod() == kserve.Api("https://10.1.0.1:6443", "abc", str(tmp_path / "ca.crt"))


def test_the_command_prints_what_kubectl_applies(client: Client, causeway: Any) -> None:
    published(client, "s3://models/irises.joblib")
    said = causeway("export", "kserve", "irises@v7", "--namespace", "models", "--account", "readers")
    made = fits(json.loads(said))
    assert made["metadata"]["namespace"] == "models" and made["spec"]["predictor"]["serviceAccountName"] == "readers"
    assert "is of no form" in causeway("export", "kserve", published(client, "s3://m/a", "odd").name, exit_code=1)
