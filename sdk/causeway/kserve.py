"""KServe: a version of a model as an InferenceService, written out or applied through the Kubernetes API.

from causeway import Client, kserve

version = Client().get("irises:champion")
kserve.apply(kserve.inference_service(version, namespace="models"))

Applying the next version changes the service in place: KServe rolls it out and keeps the old one until the new answers.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from causeway.http import CausewayError
from causeway.version import Version

API_VERSION, KIND, PLURAL = "serving.kserve.io/v1beta1", "InferenceService", "inferenceservices"
MANAGER = "causeway"  # of the fields, for others who apply to the same object
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # of a pod that has one
PLACES = ("s3://", "gs://", "hdfs://", "webhdfs://", "https://", "http://", "pvc://", "hf://", "oci://")
SECONDS = 30  # for one answer
PAUSE = 1.0  # seconds between two looks at whether it is ready
ENDINGS = {".joblib": "sklearn", ".pkl": "sklearn", ".pickle": "sklearn", ".onnx": "onnx", ".pmml": "pmml"}
ENDINGS |= {".ubj": "xgboost", ".bst": "xgboost"}  # as KServe's own servers look for them
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)


def inference_service(
    version: Version,
    *,
    service: str = "",
    namespace: str = "",
    model_format: str = "",
    storage_uri: str = "",
    runtime: str = "",
    account: str = "",
    predictor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest, which names the version in its annotations and the artifact in its labels.

    :param service: its name; default: the artifact's, as Kubernetes may call it
    :param model_format: as KServe calls it (sklearn, xgboost, mlflow ...); default: told from the version's files
    :param storage_uri: where KServe reads the model; default: where the version lies
    :param runtime: default: KServe's own choice for the format
    :param account: the service account whose secrets open the store
    :param predictor: more of `spec.predictor`: `minReplicas` ...; its `model` is more of the model: `resources` ...
    Raises CausewayError for what KServe could not read or serve.
    """
    lying = _Lying.of(version)
    model: dict[str, Any] = {
        "modelFormat": {"name": model_format or lying.format(version)},
        "storageUri": storage_uri or lying.place(version),
        **({"runtime": runtime} if runtime else {}),
    }
    more = dict(predictor or {})
    model |= dict(more.pop("model", {}))
    key = {part: str(version.fields[part]) for part in ("project", "domain", "name")}
    labels = {f"causeway/{'artifact' if part == 'name' else part}": text for part, text in key.items()}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": service or service_name(version.name),
            **({"namespace": namespace} if namespace else {}),
            "labels": {name: text for name, text in labels.items() if _LABEL.fullmatch(text)},
            "annotations": {"causeway/version": version.address},
        },
        "spec": {"predictor": {**({"serviceAccountName": account} if account else {}), **more, "model": model}},
    }


def service_name(name: str) -> str:
    """An artifact's name as one of a service: small letters, digits and dashes, a letter first. CausewayError where
    nothing of it is left.
    """
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:40].rstrip("-")
    if not found:
        raise CausewayError(f"no service can be called as {name!r} is: say how (service)")
    return found


@dataclass(frozen=True)
class _Lying:
    """Where a version's data lies, and what is in it; of what lies elsewhere no more than its address is known."""

    uri: str
    is_folder: bool
    names: tuple[str, ...]

    @classmethod
    def of(cls, version: Version) -> _Lying:
        data = version._data()
        value, uri = data["value"], str(data["uri"] or "")
        told = isinstance(value, dict) and value.get("kind") == "directory"
        return cls(uri, told, tuple(file["path"] or uri for file in data["files"]) or (uri,))

    def place(self, version: Version) -> str:
        """With a slash behind a folder: KServe takes it for a prefix, and `models/fish` is one of `models/fish-2`."""
        if not self.uri.startswith(PLACES):
            lies = f"lies at {self.uri}" if self.uri else "is a plain value"
            raise CausewayError(
                f"{version.name}@{version.version} {lies}, which KServe cannot read: it takes {', '.join(PLACES)}"
            )
        return f"{self.uri.rstrip('/')}/" if self.is_folder else self.uri

    def format(self, version: Version) -> str:
        plain = {Path(name).name for name in self.names}
        if "MLmodel" in self.names:
            return "mlflow"
        if "saved_model.pb" in plain:
            return "tensorflow"
        found = {ENDINGS[ending] for name in plain if (ending := Path(name).suffix.lower()) in ENDINGS}
        if len(found) != 1:
            raise CausewayError(
                f"{version.name}@{version.version} ({', '.join(sorted(plain)[:5])}) is of no form that tells KServe's "
                "model format: say it, sklearn, xgboost, mlflow ..."
            )
        return found.pop()


@dataclass(frozen=True)
class Api:
    """A Kubernetes API: its address, and who asks. `verify`: the file of who vouches for it, or whether to ask."""

    url: str
    token: str = ""
    verify: str | bool = True
    cert: tuple[str, str] | None = None  # files of a client's certificate and key

    @classmethod
    def of_pod(cls) -> Api:
        """Of the cluster that this pod runs on, as its service account. CausewayError where it has none."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (ACCOUNT / "token").exists():
            raise CausewayError(
                "this is no pod with a service account: name the API, kserve.Api(url, token=...), "
                "or pipe `causeway export kserve` into kubectl apply"
            )
        host = f"[{host}]" if ":" in host else host
        return cls(f"https://{host}:{port}", (ACCOUNT / "token").read_text().strip(), str(ACCOUNT / "ca.crt"))

    def call(self, method: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        """CausewayError with the API's own words. A body is applied on the server's side."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"Content-Type": "application/apply-patch+yaml"} if body is not None else {}
        url = f"{self.url.rstrip('/')}/{path}"
        try:
            answer = requests.request(
                method,
                url,
                params=params,
                json=body,
                headers=headers,
                verify=self.verify,
                cert=self.cert,
                timeout=SECONDS,
                allow_redirects=False,
            )
            found = answer.json()
        except requests.RequestException as error:
            raise CausewayError(f"{self.url} cannot be reached: {type(error).__name__}", unreachable=True) from error
        if answer.status_code >= 300:
            said = found.get("message", "") if isinstance(found, dict) else ""
            raise CausewayError(f"Kubernetes: {said or answer.reason}", status=answer.status_code)
        return dict(found)


def apply(manifest: Mapping[str, Any], *, api: Api | None = None, wait: timedelta | None = None) -> dict[str, Any]:
    """Make the service, or change it, as Kubernetes has it then. The same again changes nothing.

    :param api: default: that of the pod this runs in
    :param wait: until KServe says that it is ready; CausewayError where it is not within that time
    """
    api = api or Api.of_pod()
    metadata = manifest["metadata"]
    place = metadata.get("namespace") or _namespace()
    path = f"apis/{API_VERSION}/namespaces/{place}/{PLURAL}/{metadata['name']}"
    found = api.call("PATCH", path, dict(manifest), fieldManager=MANAGER, force="true")
    if wait is None:
        return found
    deadline = time.monotonic() + wait.total_seconds()
    while not is_ready(found):
        if time.monotonic() > deadline:
            raise CausewayError(f"{metadata['name']} is not ready after {wait}: {why_not(found)}")
        time.sleep(PAUSE)
        found = api.call("GET", path)
    return found


def _namespace() -> str:
    """Of this pod, else Kubernetes' own default."""
    file = ACCOUNT / "namespace"
    return file.read_text().strip() if file.exists() else "default"


def is_ready(service: Mapping[str, Any]) -> bool:
    """As KServe says: it answers. While an update goes on that may still be the version before."""
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in _conditions(service))


def why_not(service: Mapping[str, Any]) -> str:
    """What its conditions say, in one line."""
    bad = [one for one in _conditions(service) if one.get("status") != "True"]
    told = [f"{one.get('type')} {one.get('reason', '')} {one.get('message', '')}".strip() for one in bad]
    return "; ".join(told) or "KServe has said nothing of it"


def _conditions(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((service.get("status") or {}).get("conditions") or ())
