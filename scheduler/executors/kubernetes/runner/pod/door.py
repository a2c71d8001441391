"""Small objects over S3 without a client library, whose imports cost more than most tasks.

Whatever is not plainly known (keys from other places than variables, profiles, proxies, any answer but 200) raises
`Elsewhere`: flytekit's own way is taken then, and tells what is wrong in its own words.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import os
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT = 20.0  # seconds
CHUNK = 1 << 20
_UNSAFE = set("*?[]#%\\")  # fsspec gives them a meaning of their own
# Each may change where or as whom the client library goes.
_OTHERWISE = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "FLYTE_AWS_ADDRESSING_STYLE",
    "FLYTE_AWS_ENABLE_DEBUG",
    "FLYTECTL_CONFIG",
    "UCTL_CONFIG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
]
_FILES = [
    "~/.aws/config",
    "~/.aws/credentials",
    "~/.flyte/config",
    "~/.flyte/config.yaml",
    "~/.uctl/config.yaml",
    "~/.config/fsspec",
]


class Elsewhere(Exception):
    """This is not the way; nothing was changed that matters."""


class Door:
    """Any number of threads may use it, one at a time goes through."""

    def __init__(self) -> None:
        env = os.environ
        if any(env.get(name) for name in _OTHERWISE) or any(name.startswith("FSSPEC_") for name in env):
            raise Elsewhere
        if any(os.path.exists(os.path.expanduser(path)) for path in _FILES):
            raise Elsewhere
        own = env.get("FLYTE_AWS_ACCESS_KEY_ID"), env.get("FLYTE_AWS_SECRET_ACCESS_KEY"), ""
        token = env.get("AWS_SESSION_TOKEN") or env.get("AWS_SECURITY_TOKEN") or ""
        usual = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY"), token
        self.key, self.secret, self.token = own if all(own[:2]) else usual
        if not self.key or not self.secret or bool(own[0]) != bool(own[1]):
            raise Elsewhere
        self.region = env.get("AWS_DEFAULT_REGION") or env.get("AWS_REGION") or "us-east-1"
        told = env.get("FLYTE_AWS_ENDPOINT") or env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
        self.endpoint = urlsplit(told) if told else None
        if self.endpoint and (self.endpoint.scheme not in ("http", "https") or self.endpoint.path.strip("/")):
            raise Elsewhere
        self.begin()
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        """In a process of its own: neither a lock that another thread held nor its connections, which end."""
        for one in getattr(self, "_open", {}).values():
            one.close()
        self._lock = threading.Lock()
        self._open: dict[str, http.client.HTTPConnection] = {}

    def get(self, uri: str, path: str, most: int = 0) -> None:
        """Into a file; no more than `most` bytes, 0: any number."""
        with self._lock, self._or_elsewhere():
            answer = self._ask("GET", uri, b"", {})
            left = int(answer.headers.get("Content-Length") or -1)
            if answer.status != 200 or left < 0 or (most and left > most) or answer.headers.get("Content-Encoding"):
                raise Elsewhere
            with open(path, "wb") as file:
                while part := answer.read(CHUNK):
                    file.write(part)
                    left -= len(part)
            if left:
                raise Elsewhere

    def put(self, uri: str, data: bytes, content_type: str = "") -> None:
        with self._lock, self._or_elsewhere():
            answer = self._ask("PUT", uri, data, {"Content-Type": content_type} if content_type else {})
            answer.read()
            if answer.status != 200:
                raise Elsewhere

    @contextlib.contextmanager
    def _or_elsewhere(self) -> Iterator[None]:
        """Whatever goes wrong: what is left of an answer must not be taken for the next."""
        try:
            yield
        except BaseException as error:
            for connection in self._open.values():
                connection.close()
            self._open.clear()
            if isinstance(error, (OSError, ValueError, http.client.HTTPException)):
                raise Elsewhere from error
            raise

    def _ask(self, method: str, uri: str, data: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket or not key or _UNSAFE & set(key) or "//" in key or key.endswith("/"):
            raise Elsewhere
        secure, host, path = True, f"{bucket}.s3.{self.region}.amazonaws.com", "/" + quote(key, safe="/-_.~")
        if self.endpoint:
            secure, host, path = self.endpoint.scheme == "https", self.endpoint.netloc, f"/{bucket}{path}"
        elif "." in bucket:
            raise Elsewhere
        signed = {**headers, **self._signature(method, host, path, data)}
        for again in (False, True):
            connection = self._connection(secure, host)
            fresh = connection.sock is None
            try:
                connection.request(method, path, body=data if method == "PUT" else None, headers=signed)
                return connection.getresponse()
            except (OSError, http.client.HTTPException):  # the other side may have closed what was idle
                connection.close()
                if again or fresh:
                    raise
        raise Elsewhere

    def _connection(self, secure: bool, host: str) -> http.client.HTTPConnection:
        if host not in self._open:
            if secure:
                self._open[host] = http.client.HTTPSConnection(host, timeout=TIMEOUT, context=_trusting())
            else:
                self._open[host] = http.client.HTTPConnection(host, timeout=TIMEOUT)
        return self._open[host]

    def _signature(self, method: str, host: str, path: str, data: bytes) -> dict[str, str]:
        """AWS Signature Version 4, for a request without a query."""
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(data).hexdigest()
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
        if self.token:
            headers["x-amz-security-token"] = self.token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for word in (*scope.split("/"), text):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        del headers["host"]  # http.client says it
        told = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        return {**headers, "Authorization": told}


def _trusting() -> Any:
    """The authorities that the client library would trust, where it brings its own."""
    import importlib.util
    import ssl

    found = importlib.util.find_spec("botocore")
    own = os.path.join(os.path.dirname(found.origin), "cacert.pem") if found is not None and found.origin else ""
    bundle = os.environ.get("AWS_CA_BUNDLE") or (own if os.path.exists(own) else None)
    return ssl.create_default_context(cafile=bundle)
