"""Calls of a cluster's API: bodies are JSON, answers are JSON, whatever fields the cluster knows.

The `kubernetes` package reads kubeconfigs and brings tokens and certificates; its typed models are not used. They check
bodies and answers by themselves and refuse what a newer cluster knows, and even the kubelet's own events.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
import websocket
from urllib3.util.ssl_ import create_urllib3_context

from scheduler.executors.kubernetes.cluster import BadCluster, Cluster
from scheduler.executors.kubernetes.packaged import (
    ConfigException,
    Configuration,
    RESTClientObject,
    create_websocket,
    get_websocket_url,
    load_incluster_config,
    load_kube_config,
    load_kube_config_from_dict,
)

Json = dict[str, Any]
# Seconds to connect, and between two bytes: a network hole would hang for ever otherwise. Of what is followed
# (bookmarks come once a minute), and of calls, which are repeated.
TIMEOUT, CALL_TIMEOUT = (5.0, 90.0), (5.0, 30.0)
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
BAD_REQUEST, FORBIDDEN, NOT_FOUND = 400, 403, 404  # ApiError.status
CONNECTIONS = 32  # kept open; more are made and thrown away


_OBJECTS = re.compile(
    r"^(?:(?:HTTPS?Connection(?:Pool)?\([^)]*\)|<[^>]*>): )+(?:Failed to establish a new connection: )?"
)


class ApiError(Exception):
    """The API said no. `message` is in the cluster's words."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after


class Unreachable(ApiError):
    """No answer came: nobody knows whether it was done."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "Unreachable", message)


class Api:
    """Of one cluster; any number of threads may use it."""

    def __init__(self, configuration: Any) -> None:
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.keep_alive = True  # of TCP: a log may be silent for hours
        self._configuration = configuration
        self._pool = self._connections()
        self._token = threading.Lock()  # the hook that refreshes tokens runs one at a time

    def _connections(self) -> urllib3.PoolManager:
        return _with_one_context(RESTClientObject(self._configuration).pool_manager)

    @property
    def host(self) -> str:
        return str(self._configuration.host)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        kind: str = JSON,
        timeout: tuple[float, float] | None = None,
    ) -> Json:
        """The object that comes back. `body`: bytes as they are, else made JSON. ApiError, Unreachable."""
        timeout = timeout or CALL_TIMEOUT
        with self.open(method, path, body, query=query, kind=kind, timeout=timeout) as response:
            read = _read(response)
        try:
            found = json.loads(read or b"{}")
        except ValueError:
            raise Unreachable(f"{self.host} answered with something that is no JSON") from None
        return found if isinstance(found, dict) else {}

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        kind: str = JSON,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer as a stream: for watches and logs. What breaks while it is read raises urllib3's HTTPError."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        try:
            response = self._pool.request(
                method,
                self._url(path, query),
                body=data,
                headers=self._headers(kind if data is not None else ""),
                timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
                preload_content=False,
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            self._doubt_connections(error)
            raise Unreachable(f"{self.host} does not answer: {_plainly(error)}") from None
        try:
            if response.status >= 300:
                raise _error(response)
            yield response
        except BaseException as error:
            response.close()  # what was not read to its end cannot be used again
            if timeout[1] <= TIMEOUT[1]:  # of a follow or a watch silence says little
                self._doubt_connections(error)
            raise
        finally:
            response.release_conn()

    def attach(self, namespace: str, pod: str, container: str, *, timeout: float) -> Any:
        """A WebSocket to the standard input and output of a running container: frames of one channel's number and
        bytes. `timeout`: seconds of silence after which reading it raises. ApiError, and what the WebSocket raises.
        """
        query = {"container": container, "stdin": "true", "stdout": "true", "stderr": "false"}
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/attach"
        try:
            url = get_websocket_url(self._url(path, query))  # type: ignore[no-untyped-call]
            made = create_websocket(self._configuration, url, self._headers(""))  # type: ignore[no-untyped-call]
        except websocket.WebSocketBadStatusException as error:
            raise ApiError(error.status_code, "", f"attaching to {namespace}/{pod}: {error}") from None
        made.settimeout(timeout)
        return made

    def _doubt_connections(self, error: BaseException) -> None:
        """After silence those that are kept open lead into the same hole, and each would cost a call its patience.
        Where the cluster is not trusted its authority may be a new one, whose file is read again.
        """
        if isinstance(error, urllib3.exceptions.TimeoutError):
            self._pool.clear()
        elif isinstance(error, urllib3.exceptions.SSLError):
            self._pool = self._connections()

    def _url(self, path: str, query: Mapping[str, object] | None) -> str:
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        return f"{self.host.rstrip('/')}{path}" + (f"?{urlencode(given)}" if given else "")

    def _headers(self, kind: str) -> dict[str, str]:
        with self._token:
            told = self._configuration.auth_settings()
        headers = {"Accept": "application/json", "User-Agent": "causeway"}
        for setting in told.values():
            if setting.get("in") == "header" and setting.get("value"):
                headers[setting["key"]] = setting["value"]
        return {**headers, **({"Content-Type": kind} if kind else {})}


def connect(cluster: Cluster, kubeconfig: Mapping[str, Any] | None = None) -> Api:
    """`kubeconfig`: its content; none: the file that the cluster names. BadCluster if it cannot be used, or there is
    none and this is no pod.
    """
    # It warns of each connection above those kept open; logs that are followed are many more for a while.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    configuration = Configuration()
    try:
        if kubeconfig is not None:
            load_kube_config_from_dict(  # type: ignore[no-untyped-call]
                dict(kubeconfig),
                context=cluster.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
        elif cluster.kubeconfig:
            load_kube_config(  # type: ignore[no-untyped-call]
                cluster.kubeconfig,
                context=cluster.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, ValueError) as error:
        file = f"the kubeconfig {cluster.kubeconfig}" if cluster.kubeconfig else "the service account of this pod"
        where = file if kubeconfig is None else "the kubeconfig that was set"
        raise BadCluster(f"cluster {cluster.name}: {where} cannot be used: {error}") from None
    return Api(configuration)


def _with_one_context(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """Each connection would read the authorities for itself: 30 kB and a third of the time that it takes to begin."""
    given = pool.connection_pool_kw
    # As urllib3 makes them, of what the package gave it
    names = ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file")
    requirements, authorities, text, certificate, key = (given.pop(name, None) for name in names)
    context = create_urllib3_context(cert_reqs=requirements)
    if authorities or text:
        context.load_verify_locations(cafile=authorities, cadata=text)
    elif requirements == ssl.CERT_REQUIRED:
        context.load_default_certs()
    if certificate:
        context.load_cert_chain(certificate, key)
    given.update(ssl_context=context, cert_reqs=requirements)
    return pool


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return bytes(response.read())
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"the answer broke off: {error}") from None


def _error(response: urllib3.BaseHTTPResponse) -> ApiError:
    body = _read(response)
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    message = str(told.get("message") or body[:500].decode(errors="replace") or response.reason or "no message")
    return ApiError(response.status, str(told.get("reason") or ""), message, _seconds(response.headers))


def _plainly(error: urllib3.exceptions.HTTPError) -> str:
    """Without the names of urllib3's objects before it."""
    return _OBJECTS.sub("", str(error))


def _seconds(headers: Mapping[str, str]) -> float:
    told = headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0
