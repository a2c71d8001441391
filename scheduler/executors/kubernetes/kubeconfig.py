"""Kubeconfigs that are set while Causeway runs: what may be in them.

A kubeconfig can name programs that its reader runs and files that its reader reads. Of a file that the operator laid on
the machine that is wanted (clouds hand out tokens by such programs); of a text that came through a door it would let
whoever may set clusters run programs of his as Causeway, and read its files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scheduler.executors.kubernetes.cluster import BadCluster

LARGEST = 256 * 1024  # bytes
FOLDER = "kubeconfigs"  # in the data directory; only the operator writes there
_PROGRAMS = ("exec", "auth-provider")
_FILES = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
    "tokenFile": "token",
}


def read(text: str) -> dict[str, Any]:
    """The kubeconfig of that text, which holds all that it needs. BadCluster, never with a part of the text."""
    if len(text.encode()) > LARGEST:
        raise BadCluster(f"a kubeconfig has at most {LARGEST} bytes")
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise BadCluster("the kubeconfig is no YAML") from None
    if not isinstance(given, dict) or not _entries(given, "clusters") or not _entries(given, "contexts"):
        raise BadCluster("this is no kubeconfig: it needs clusters, contexts and users")
    for problem in _problems(given):
        raise BadCluster(f"the kubeconfig {problem}")
    return given


def check_context(given: Mapping[str, Any], context: str) -> None:
    """BadCluster unless it has the context, or a current one where none is asked for."""
    names = [str(one.get("name")) for one in _entries(given, "contexts")]
    wanted = context or given.get("current-context")
    if not wanted:
        raise BadCluster(f"the kubeconfig has no current-context: name one as `context`; it has {', '.join(names)}")
    if wanted not in names:
        raise BadCluster(f"the kubeconfig has no context {wanted!r}; it has {', '.join(names)}")


def check_path(path: str, home: Path) -> None:
    """BadCluster unless it is a file of the folder that is for kubeconfigs."""
    folder = (home / FOLDER).resolve()
    if not Path(path).is_absolute() or folder not in Path(path).resolve().parents:
        raise BadCluster(f"kubeconfig has to be a file in {folder}, or send its text: other files are not read")
    if not Path(path).is_file():
        raise BadCluster(f"kubeconfig: there is no file {path}")


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    for kind, inner in (("clusters", "cluster"), ("users", "user")):
        for entry in _entries(given, kind):
            settings = entry.get(inner)
            for name in settings if isinstance(settings, Mapping) else ():
                if name in _PROGRAMS:
                    yield f"has `{name}`: a program of this machine is run only for a kubeconfig in the folder {FOLDER}"
                if name in _FILES:
                    yield f"names a file ({name}): put its content in (`kubectl config view --raw --flatten`)"


def _entries(given: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    found = given.get(kind)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
