"""What of Kueue's manifests a process outside the cluster needs: `kueue_objects.py definitions|webhooks ADDRESS PORT`.

Manifests come from standard input as YAML, a list of objects goes to standard output as JSON. Webhooks are told of
namespaces with the label `kueue=on` only, and lead to the address by a Service without a selector.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml

Json = dict[str, Any]
NAMESPACE, SERVICE = "kueue-system", "kueue-webhook-service"
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def definitions(manifests: list[Json]) -> list[Json]:
    return [one for one in manifests if one["kind"] == "CustomResourceDefinition"]


def webhooks(manifests: list[Json], address: str, port: int) -> list[Json]:
    """The configurations, the Service that they name, and where it leads; the Secret that Kueue fills."""
    found = [one for one in manifests if one["kind"] in WEBHOOKS]
    for one in found:
        for webhook in one["webhooks"]:
            webhook["namespaceSelector"] = {"matchLabels": {"kueue": "on"}}
    metadata = {"name": SERVICE, "namespace": NAMESPACE}
    ports = [{"port": 443, "targetPort": port}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}
    leads = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "name": "kueue-webhook-server-cert"}}
    return [service, leads, secret, *found]


def main(what: str, address: str, port: str) -> None:
    manifests = [one for one in yaml.safe_load_all(sys.stdin) if one]
    items = definitions(manifests) if what == "definitions" else webhooks(manifests, address, int(port))
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
