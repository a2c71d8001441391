"""The command `causeway` against the real API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from causeway import Client, transfers
from causeway.cli import main, progress
from flyteidl.core import literals_pb2, types_pb2

from artifacts import uploads
from artifacts.actions.publish import Publication, publish
from artifacts.governance.pointers import set_alias_policy
from artifacts.models import Artifact
from artifacts.store import store
from tests.sdk.conftest import Command


def test_it_publishes_finds_and_pulls(causeway: Command, tmp_path: Path) -> None:
    (tmp_path / "rides.csv").write_text("a,b\n1,2\n")
    (tmp_path / "card.md").write_text("# Rides\n")
    options = ["-P", "region=SEA", "--card", tmp_path / "card.md", "--metric", "rows=1", "-m", "owner=ann"]
    made = json.loads(causeway("artifact", "create", "rides", "--file", tmp_path / "rides.csv", *options, "--json"))
    assert (made["kind"], made["metrics"], made["metadata"]) == ("dataset", {"rows": 1.0}, {"owner": "ann"})
    assert json.loads(causeway("artifact", "get", "rides", "-P", "region=SEA", "--json"))["version"] == made["version"]
    assert "rides" in causeway("artifact", "list")
    assert json.loads(causeway("artifact", "list", "--json"))[0]["partition_keys"] == ["region"]
    assert "region" in causeway("artifact", "show", "rides")
    assert [each["version"] for each in json.loads(causeway("artifact", "versions", "rides", "--json"))] == [
        made["version"]
    ]
    assert "<h1>Rides</h1>" in causeway("artifact", "card", "rides")
    assert made["version"] in causeway("artifact", "search", "name:rides")
    path = causeway("artifact", "pull", "rides", tmp_path / "there").strip()
    assert Path(path).read_text() == "a,b\n1,2\n"

    causeway("artifact", "alias", "rides", "champion", made["version"], "--new", "--reason", "first")
    assert "champion" in causeway("artifact", "aliases", "rides")
    assert "first" in causeway("artifact", "aliases", "rides", "champion")
    assert json.loads(causeway("artifact", "get", "rides:champion", "--json"))["id"] == made["id"]
    assert "names" in causeway(
        "artifact", "alias", "rides", "champion", made["version"], "--expected", "x", exit_code=1
    )
    causeway("artifact", "unalias", "rides", "champion")
    set_alias_policy(Artifact.objects.get(name="rides"), "champion", {"per": ["region"]}, actor="root")
    causeway("artifact", "alias", "rides", "champion", made["version"])
    assert "region=SEA" in causeway("artifact", "aliases", "rides", "-P", "region=SEA")
    assert made["version"] not in causeway("artifact", "aliases", "rides", "champion", "-P", "region=LAX")
    assert "champion?region=SEA" in causeway("artifact", "show", "rides")
    assert json.loads(causeway("artifact", "get", "rides:champion?region=SEA", "--json"))["id"] == made["id"]
    assert "kept per region" in causeway("artifact", "get", "rides:champion", exit_code=3)
    causeway("artifact", "unalias", "rides", "champion", "-P", "region=SEA")

    causeway("artifact", "create", "threshold", "--value", "0.8", "--version", "v1")
    assert causeway("artifact", "pull", "threshold") == "0.8\n"
    assert json.loads(causeway("artifact", "pull", "threshold", "--json")) == {"value": 0.8}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_prints_json_if_asked() -> None:
    takes = {name: any("--json" in each.opts for each in command.params) for name, command in _commands(main)}
    assert [name for name, with_json in takes.items() if not with_json] == ["completion", "serve"]


def test_it_says_in_a_line_that_a_folder_cannot_be_written(causeway: Command, tmp_path: Path) -> None:
    (tmp_path / "rides.csv").write_text("a")
    causeway("artifact", "create", "rides", "--file", tmp_path / "rides.csv")
    said = causeway("artifact", "pull", "rides", tmp_path / "rides.csv" / "there", exit_code=1)
    assert said.startswith("Error: ") and said.count("\n") == 1


def test_it_pulls_every_file_of_a_list(causeway: Command, tmp_path: Path) -> None:
    blob = types_pb2.LiteralType(blob=types_pb2.BlobType())
    items = []
    for number in range(2):
        uri = f"{store().root}/raw/demo/development/e/{number}/part.txt"
        store().put(uri, b"part %d" % number)
        items.append(literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(uri=uri))))
    listed = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    publish(
        Publication("demo", "development", "parts", listed, types_pb2.LiteralType(collection_type=blob)), actor="ann"
    )
    assert causeway("artifact", "pull", "parts", tmp_path / "there").strip() == str(tmp_path / "there")
    assert [(tmp_path / "there" / str(n) / "part.txt").read_text() for n in range(2)] == ["part 0", "part 1"]


def test_it_removes_the_version_it_is_told(causeway: Command) -> None:
    causeway("artifact", "create", "x", "--value", "1", "--version", "v1")
    assert "name the version" in causeway("artifact", "remove", "x", exit_code=2)
    causeway("artifact", "remove", "x@v1", "--dry-run", "--json", exit_code=4)  # an approver is no admin


def test_its_exit_codes_tell_what_happened(causeway: Command) -> None:
    assert causeway("artifact", "get", "nothing", exit_code=3).startswith("Error: ")
    assert "exactly one" in causeway("artifact", "create", "x", exit_code=2)
    assert "JSON" in causeway("artifact", "create", "x", "--value", "{", exit_code=2)
    causeway("artifact", "create", "x", "--value", "1", "--version", "v1")
    refused = causeway("artifact", "create", "x", "--value", "2", "--version", "v1", exit_code=1)
    assert len(refused.splitlines()) == 1
    causeway.environment["CAUSEWAY_PROJECT"] = "elsewhere"
    causeway("artifact", "create", "x", "--value", "1", exit_code=3)
    causeway.environment["CAUSEWAY_TOKEN"] = "cwy_wrong"
    causeway("artifact", "get", "x", exit_code=4)


def test_it_says_when_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causeway.http.FIRST_PAUSE", 0.01)
    away = Command("http://127.0.0.1:9", "token")
    assert "cannot be reached" in away("artifact", "get", "x", exit_code=5)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_completes_in_every_shell(shell: str) -> None:
    assert "_CAUSEWAY_COMPLETE" in Command("", "")("completion", shell)


def test_it_imports_fast_and_without_flytekit() -> None:
    """In a process where nothing but requests and click may be imported."""
    code = (
        "import sys\n"
        "for name in ('flytekit', 'flyteidl', 'google.protobuf', 'pandas', 'django'): sys.modules[name] = None\n"
        "import causeway.cli\n"
        "from causeway import Attributes, Client, Metrics, ModelCard\n"
        "try:\n    from causeway import OnArtifact\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "causeway.OnArtifact needs flytekit" in said


class _Terminal:
    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None: ...


def test_it_draws_a_bar_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    with progress.shown() as bar:
        assert bar is transfers.no_progress
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())
    with progress.shown() as bar:
        bar("uploading", 50, 50)
    assert "100% of 0.0 MB" in terminal.text


UPLOAD = """
import sys
from causeway import Client, transfers
transfers.PARALLEL = 1
def slow(source, part, counter, original=transfers._send_part):
    original(source, part, counter)
    print(part["number"], flush=True)
    if part["number"] == 3:
        import time
        time.sleep(60)
transfers._send_part = slow
Client().create("big", file=sys.argv[1])
"""


def test_an_upload_goes_on_after_the_client_was_killed(
    client: Client, causeway: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PART_BYTES", 100_000)
    (tmp_path / "big.bin").write_bytes(os.urandom(1_000_000))
    environment = {**os.environ, **causeway.environment, "CAUSEWAY_DOMAIN": "development"}
    process = subprocess.Popen(
        [sys.executable, "-c", UPLOAD, str(tmp_path / "big.bin")], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert [process.stdout.readline().strip() for _ in range(3)] == ["1", "2", "3"]
    process.kill()
    process.wait()
    process.stdout.close()
    files, folder = transfers.look_at(tmp_path / "big.bin")
    body = {"files": [{"path": file.path, "size_bytes": file.size, "sha256": file.sha256} for file in files]}
    state = client.connection.call("POST", "uploads/demo/development", json=body)
    assert [part["done"] for part in state["files"][0]["parts"]] == [True] * 3 + [False] * 7
    began = time.monotonic()
    causeway("artifact", "create", "big", "--file", tmp_path / "big.bin")
    assert time.monotonic() - began < 30
    pulled = client.get("big").download(tmp_path / "there")
    assert pulled.read_bytes() == (tmp_path / "big.bin").read_bytes()
