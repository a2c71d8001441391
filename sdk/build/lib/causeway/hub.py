"""Artifacts from the Hugging Face hub: a repository's commit becomes a version, its README the card.

Reads the hub with `huggingface_hub` (`pip install huggingface_hub`), which takes `HF_ENDPOINT` and `HF_TOKEN` from the
environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from causeway.client import Client
from causeway.http import CausewayError
from causeway.transfers import Progress, no_progress
from causeway.version import Version

_ADDRESS = re.compile(
    r"hf://(?:(?P<kind>models|datasets)/)?(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?", re.ASCII
)
_KINDS = {"models": "model", "datasets": "dataset"}
_NO_FILES = (".git*", "*.lock")
MAX_TAGS = 50


@dataclass(frozen=True)
class HubAddress:
    kind: str  # model or dataset
    repo: str
    revision: str  # a branch, tag or commit

    def at(self, commit: str) -> str:
        """The address of exactly this commit, as huggingface_hub's file system reads it."""
        return f"hf://{'datasets/' if self.kind == 'dataset' else ''}{self.repo}@{commit}"


def parse(text: str) -> HubAddress:
    """`hf://org/repo[@revision]` for a model, `hf://datasets/org/repo[@revision]` for a dataset."""
    match = _ADDRESS.fullmatch(text)
    if match is None or ".." in match["repo"]:
        raise CausewayError(f"{text[:200]!r} is no repository: hf://[datasets/]<org>/<repo>[@<revision>]")
    return HubAddress(_KINDS[match["kind"] or "models"], match["repo"], match["revision"] or "main")


def import_from_hub(
    client: Client,
    address: str,
    *,
    name: str = "",
    by_reference: bool = False,
    partitions: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
    **details: Any,
) -> Version:
    """Publish a repository of the hub. The same commit again is the version there already.

    :param name: of the artifact; default: the repository's
    :param by_reference: refer to the commit on the hub, and copy nothing
    :param details: as for `Client.create`
    :raises CausewayError: 404 for a repository or revision that the hub does not show you
    """
    asked = parse(address)
    info = _look_up(asked)
    commit = str(info.sha)
    with TemporaryDirectory(prefix="causeway-hub-") as scratch:
        said: dict[str, Any] = {
            "version": commit,
            "kind": asked.kind,
            "partitions": partitions,
            "card": _readme(asked, info, commit, scratch) or None,
            "metadata": {**_metadata(asked, info), **details.pop("metadata", {})},
            "producer": asked.at(commit),
            **details,
        }
        name = name or asked.repo.rpartition("/")[2]
        if by_reference:
            return client.create(name, external_ref=asked.at(commit), shape="directory", **said)
        return client.create(name, directory=_copy(asked, commit, scratch), progress=progress, **said)


def _library() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise CausewayError("importing from the hub needs its client: pip install huggingface_hub") from None
    return huggingface_hub


def _look_up(asked: HubAddress) -> Any:
    with _told(asked) as hub:
        return hub.HfApi().repo_info(asked.repo, repo_type=asked.kind, revision=asked.revision, timeout=30)


@contextmanager
def _told(asked: HubAddress) -> Iterator[Any]:
    """Gives the hub's library, and turns what it raises into CausewayError."""
    hub = _library()
    try:
        yield hub
    except hub.errors.RevisionNotFoundError:
        raise CausewayError(f"{asked.repo} has no revision {asked.revision} on the hub", status=404) from None
    except hub.errors.RepositoryNotFoundError:
        raise CausewayError(f"the hub shows you no {asked.kind} {asked.repo}", status=404) from None
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError, ValueError) as error:
        raise CausewayError(f"the hub does not answer for {asked.repo}: {_line(error)}") from error
    except Exception as error:
        # Which HTTP client the library uses, and so what a lost connection is, differs between its releases.
        if not any(base.__name__ in ("TransportError", "RequestException") for base in type(error).__mro__):
            raise
        raise CausewayError(f"the hub cannot be reached: {_line(error)}", unreachable=True) from error


def _readme(asked: HubAddress, info: Any, commit: str, scratch: str) -> str:
    """The README without the hub's own header of metadata; empty when there is none."""
    names = [each.rfilename for each in info.siblings or []]
    found = next((name for name in names if name.lower() == "readme.md"), None)
    if found is None:
        return ""
    with _told(asked) as hub:
        path = hub.hf_hub_download(
            asked.repo, found, repo_type=asked.kind, revision=commit, local_dir=str(Path(scratch, "card"))
        )
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    return re.sub(r"\A---\r?\n.*?^---[ \t]*\r?$\n?", "", text, count=1, flags=re.DOTALL | re.MULTILINE)


def _copy(asked: HubAddress, commit: str, scratch: str) -> Path:
    target = Path(scratch, "files")
    with _told(asked) as hub:
        hub.snapshot_download(
            asked.repo,
            repo_type=asked.kind,
            revision=commit,
            local_dir=str(target),
            ignore_patterns=list(_NO_FILES),
        )
    for path in sorted((target / ".cache").rglob("*"), reverse=True):  # the library's own notes
        path.rmdir() if path.is_dir() else path.unlink()
    if (target / ".cache").is_dir():
        (target / ".cache").rmdir()
    return target


def _metadata(asked: HubAddress, info: Any) -> dict[str, str]:
    card = getattr(info, "card_data", None)
    found = {
        "hub": asked.repo,
        "revision": asked.revision,
        "license": getattr(card, "license", None),
        "library": getattr(info, "library_name", None),
        "task": getattr(info, "pipeline_tag", None),
        "tags": " ".join(list(getattr(info, "tags", None) or [])[:MAX_TAGS]),
    }
    return {key: str(value) for key, value in found.items() if value}


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
