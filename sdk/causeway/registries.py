"""Whether a registry has an image, asked as anybody may: without a password."""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests

SECONDS = 5.0
HUB = "registry-1.docker.io"
_KINDS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Answer:
    """`there`: None where the registry did not say, to us: it is away, or wants a password."""

    there: bool | None
    digest: str = ""


def split(image: str) -> tuple[str, str, str]:
    """Host, repository and tag of a full name."""
    name, _, tag = image.rpartition(":")
    host, _, repository = name.partition("/")
    if not repository or not (host == "localhost" or "." in host or ":" in host):
        host, repository = "docker.io", name
    if host == "docker.io":
        return HUB, repository if "/" in repository else f"library/{repository}", tag
    return host, repository, tag


def ask(image: str) -> Answer:
    """One question, or two: over HTTP where a registry does not speak TLS."""
    host, repository, tag = split(image)
    for scheme in ("https", "http"):
        try:
            answer = _manifest(f"{scheme}://{host}/v2/{repository}/manifests/{tag}", repository)
        except requests.exceptions.SSLError:
            continue
        except requests.RequestException:
            break
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status_code == 200 and _DIGEST.fullmatch(digest):
            return Answer(True, digest)
        return Answer(False) if answer.status_code == 404 else Answer(None)
    return Answer(None)


def _nobody(asked: requests.PreparedRequest) -> requests.PreparedRequest:
    """Else a password in ~/.netrc would go along, also where nobody speaks TLS."""
    return asked


def _manifest(url: str, repository: str) -> requests.Response:
    headers = {"Accept": _KINDS}
    answer = requests.head(url, headers=headers, timeout=SECONDS, allow_redirects=False, auth=_nobody)
    told = answer.headers.get("WWW-Authenticate", "")
    if answer.status_code != 401 or not told.lower().startswith("bearer "):
        return answer
    said = dict(re.findall(r'(\w+)="([^"]*)"', told))
    if not said.get("realm", "").startswith("https://"):
        return answer
    asked = {"service": said.get("service", ""), "scope": f"repository:{repository}:pull"}
    told_by = requests.get(said["realm"], params=asked, timeout=SECONDS, allow_redirects=False, auth=_nobody)
    given = told_by.json()
    token = (given.get("token") or given.get("access_token")) if isinstance(given, dict) else None
    if not isinstance(token, str):
        return answer
    headers["Authorization"] = f"Bearer {token}"
    return requests.head(url, headers=headers, timeout=SECONDS, allow_redirects=False, auth=_nobody)
