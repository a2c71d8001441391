"""Import from the Hugging Face hub: its own client against a server here that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from causeway import Client
from causeway.http import CausewayError
from causeway.hub import parse

from tests.sdk.conftest import Command

pytestmark = pytest.mark.e2e  # real processes

COMMIT = "0123456789abcdef0123456789abcdef01234567"
README = b"---\nlicense: mit\n---\n# Tiny\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
FILES = {"README.md": README, "config.json": b'{"layers": 1}', "weights/model.bin": b"\x00" * 1000}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        for prefix in ("/api/models/org/tiny", "/api/datasets/org/rides"):
            if path in (f"{prefix}/revision/main", f"{prefix}/revision/{COMMIT}", prefix):
                self.info(prefix.partition("/api/")[2].partition("/")[2])
                return
            if path.startswith(f"{prefix}/tree/{COMMIT}"):
                self.tree()
                return
        for prefix in (f"/org/tiny/resolve/{COMMIT}/", f"/datasets/org/rides/resolve/{COMMIT}/"):
            if path.startswith(prefix) and (content := FILES.get(path[len(prefix) :])) is not None:
                self.file(content, body=body)
                return
        missing = "RevisionNotFound" if "/revision/" in path and "/org/tiny/" in path else "RepoNotFound"
        self.send(404, b'{"error": "not found"}', {"X-Error-Code": missing}, body=body)

    def info(self, repo: str) -> None:
        siblings = [{"rfilename": name, "size": len(content)} for name, content in FILES.items()]
        found = {
            "_id": "1",
            "id": repo,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": ["tiny", "test"],
            "pipeline_tag": "text-generation",
            "library_name": "transformers",
            "cardData": {"license": "mit"},
            "private": False,
        }
        self.send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def tree(self) -> None:
        found = [{"type": "file", "path": name, "size": len(body), "oid": _oid(body)} for name, body in FILES.items()]
        self.send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def file(self, content: bytes, *, body: bool) -> None:
        headers = {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        self.send(200, content, headers, body=body)

    def send(self, status: int, content: bytes, headers: dict[str, str], *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None: ...


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(causeway: Command, endpoint: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: huggingface_hub reads HF_ENDPOINT when it is imported."""
    hub = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **causeway.environment, **hub}
    command = [sys.executable, "-c", "from causeway.cli import main; main()", "artifact", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_imports_a_model_with_its_files(client: Client, causeway: Command, endpoint: str, tmp_path: Path) -> None:
    done = run(causeway, endpoint, tmp_path / "hf", "import", "hf://org/tiny", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["name"], made["version"], made["kind"]) == ("tiny", COMMIT, "model")
    assert made["metadata"]["license"] == "mit"
    version = client.get("tiny")
    pulled = version.download(tmp_path / "there")
    found = {path.relative_to(pulled).as_posix(): path.read_bytes() for path in pulled.rglob("*") if path.is_file()}
    assert found == FILES
    card = version.card()
    assert "<h1>Tiny</h1>" in card and "<table>" in card and "license" not in card

    again = run(causeway, endpoint, tmp_path / "hf", "import", f"hf://org/tiny@{COMMIT}", "--json")
    assert json.loads(again.stdout)["id"] == made["id"], again.stderr


def test_it_imports_a_dataset_by_reference(client: Client, causeway: Command, endpoint: str, tmp_path: Path) -> None:
    done = run(causeway, endpoint, tmp_path, "import", "hf://datasets/org/rides", "--name", "taxi", "--by-reference")
    assert done.returncode == 0, done.stderr
    version = client.get("taxi")
    assert (version.uri, version.kind) == (f"hf://datasets/org/rides@{COMMIT}", "dataset")
    assert version.version == COMMIT


def test_it_says_what_the_hub_does_not_have(causeway: Command, endpoint: str, tmp_path: Path) -> None:
    missing = run(causeway, endpoint, tmp_path, "import", "hf://org/none")
    assert missing.returncode == 3, missing.stderr
    assert "no model org/none" in missing.stderr
    missing = run(causeway, endpoint, tmp_path, "import", "hf://org/tiny@v9")
    assert missing.returncode == 3, missing.stderr
    assert "no revision v9" in missing.stderr


def test_it_says_when_the_hub_is_away(causeway: Command, tmp_path: Path) -> None:
    away = run(causeway, "http://127.0.0.1:9", tmp_path, "import", "hf://org/tiny")
    assert away.returncode == 5, away.stderr
    assert away.stderr.startswith("Error: the hub cannot be reached") and len(away.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["org/tiny", "hf://", "hf://a/b/c/d", "hf://../x", "hf://org/tiny@", "http://x", "hf://o/r x"]
)
def test_it_knows_what_is_no_repository(text: str) -> None:
    with pytest.raises(CausewayError, match="no repository"):
        parse(text)
