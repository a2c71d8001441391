"""What DVC tracks becomes a version by reference: where its remote keeps it, under its hash.

Reads `.dvc` files and `dvc.lock` as DVC 2 and 3 write them, and the remote's address from `.dvc/config`; neither DVC
nor its cache is needed.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from causeway.client import Client
from causeway.http import CausewayError
from causeway.trackers import without_password
from causeway.version import Version

FOLDER = ".dir"  # ends the hash of a directory, whose object lists its files
_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Output:
    """One tracked path. `hash` is an MD5, with `.dir` for directories; `modern`: kept as DVC 3 does."""

    path: str
    hash: str
    size: int | None
    files: int | None
    modern: bool
    stage: str = ""
    remote: str = ""

    @property
    def place(self) -> str:
        """Below the remote's address."""
        return ("files/md5/" if self.modern else "") + f"{self.hash[:2]}/{self.hash[2:]}"


def read(file: Path) -> list[Output]:
    """The outputs of a `.dvc` file or a `dvc.lock`. CausewayError for what is neither."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CausewayError(f"{file} is not YAML: {error}") from None
    if not isinstance(found, dict) or not ("outs" in found or "stages" in found):
        raise CausewayError(f"{file} is neither a .dvc file nor a dvc.lock: it has no `outs` and no `stages`")
    stages = {"": found} if "outs" in found else found["stages"] or {}
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise CausewayError(f"{file}: `stages` holds the stages by their names")
    return [_output(row, file, str(name)) for name, stage in stages.items() for row in _rows(stage.get("outs"), file)]


def _rows(outs: object, file: Path) -> list[Any]:
    if not isinstance(outs, list | None) or not all(isinstance(row, dict) for row in outs or ()):
        raise CausewayError(f"{file}: `outs` is a list of mappings with `path` and `md5`")
    return outs or []


def _output(row: Mapping[str, Any], file: Path, stage: str) -> Output:
    digest, path = row.get("md5"), row.get("path")
    if not isinstance(digest, str) or not isinstance(path, str):
        raise CausewayError(f"{file}: {path or 'an output'} has no md5: `dvc commit` or `dvc repro` gives it one")
    if not _HASH.fullmatch(digest):  # an address is made of it
        raise CausewayError(f"{file}: the md5 of {path} is none: 32 hexadecimal digits, with .dir for a directory")
    size, files = (value if isinstance(value := row.get(name), int) else None for name in ("size", "nfiles"))
    return Output(path, digest, size, files, row.get("hash") == "md5", stage, str(row.get("remote") or ""))


def publish(client: Client, file: Path, *, output: str | None = None, name: str = "") -> list[Version]:
    """Versions of all outputs of the file, or of one. The same hash again is the same version.

    :param output: the path of the one that is meant
    :param name: of the artifact, where there is one output; default: the file's name without suffix
    """
    found = [one for one in read(file) if output in (None, one.path)]
    if not found:
        raise CausewayError(f"{file} tracks nothing{f' called {output}' if output else ''}")
    if name and len(found) > 1:
        raise CausewayError(f"{file} tracks {', '.join(one.path for one in found)}: say which is to be called {name}")
    root = repository_of(file)
    return [_publish(client, one, root, name or Path(one.path).stem) for one in found]


def _publish(client: Client, output: Output, root: Path, name: str) -> Version:
    folder = output.hash.endswith(FOLDER)
    told = {"dvc.path": output.path, "dvc.stage": output.stage, "dvc.files": str(output.files or "")}
    return client.create(
        name,
        external_ref=f"{remote_of(root, output.remote)}/{output.place}",
        shape="file",
        format="dvc-directory" if folder else Path(output.path).suffix.lstrip("."),
        kind="directory" if folder else None,
        version=output.hash,
        content_hash=f"md5:{output.hash}",
        size_bytes=output.size,
        metadata={key: text for key, text in told.items() if text},
        producer=f"dvc:{output.stage or output.path}",
    )


def repository_of(file: Path) -> Path:
    """The folder above that holds `.dvc`."""
    for folder in file.resolve().parents:
        if (folder / ".dvc").is_dir():
            return folder
    raise CausewayError(f"{file} lies in no DVC repository: no folder above it has a .dvc folder")


def remote_of(root: Path, name: str = "") -> str:
    """The address of a remote, the default one unless it is named. One on this machine opens nothing for others:
    `dvc://...`.
    """
    config: Iterator[configparser.ConfigParser] = (_config(root / ".dvc" / one) for one in ("config.local", "config"))
    files = list(config)
    chosen = name or next((one["core"]["remote"] for one in files if one.has_option("core", "remote")), "")
    if not chosen:
        raise CausewayError(f"{root} has no default remote: `dvc remote add -d NAME URL`, and push to it")
    section = f"'remote \"{chosen}\"'"
    url = next((one[section]["url"] for one in files if one.has_option(section, "url")), "")
    if not url:
        raise CausewayError(f"{root} has no remote called {chosen}")
    if "://" in url and not url.startswith("file:"):
        return without_password(url).rstrip("/")
    return f"dvc://{(root / '.dvc' / url.removeprefix('file://')).resolve().as_posix().lstrip('/')}"


def _config(path: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    try:
        found.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise CausewayError(f"{path} cannot be read: {error}") from None
    return found
