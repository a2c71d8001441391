"""What we use of the `kubernetes` package, imported without Google's library, 9 MB.

Its reader of kubeconfigs imports that for one way of logging in (`auth-provider: gcp`, which kubectl itself gave up),
and gets it when it asks for it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_GOOGLE = "google.auth"
__all__ = [
    "ConfigException",
    "Configuration",
    "RESTClientObject",
    "create_websocket",
    "get_websocket_url",
    "load_incluster_config",
    "load_kube_config",
    "load_kube_config_from_dict",
]


class _Google:
    """Stands for the package `google` in the reader."""

    @property
    def auth(self) -> Any:
        import_module(f"{_GOOGLE}.transport.requests")
        return import_module(_GOOGLE)


def _import_reader() -> None:
    if "kubernetes" in sys.modules or _GOOGLE in sys.modules or find_spec(_GOOGLE) is None:
        return
    sys.modules[_GOOGLE] = None  # type: ignore[assignment] # it then goes without
    try:
        reader: Any = import_module("kubernetes.config.kube_config")
    finally:
        del sys.modules[_GOOGLE]
    reader.google, reader.google_auth_available = _Google(), True


_import_reader()

from kubernetes.client import Configuration  # noqa: E402
from kubernetes.client.rest import RESTClientObject  # noqa: E402
from kubernetes.config import (  # noqa: E402
    ConfigException,
    load_incluster_config,
    load_kube_config,
    load_kube_config_from_dict,
)
from kubernetes.stream.ws_client import create_websocket, get_websocket_url  # noqa: E402
