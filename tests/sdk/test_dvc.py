"""What DVC tracks becomes a version, against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from causeway import dvc
from causeway.client import Client
from causeway.http import CausewayError

from tests.sdk.conftest import Command

TRACKED = """\
outs:
- md5: 22a1a2931c8370d3aeedd7183606fd7f
  size: 14445097
  hash: md5
  path: data.xml
"""
LOCK = """\
schema: '2.0'
stages:
  prepare:
    cmd: python prepare.py
    deps: [{path: data.xml, hash: md5, md5: 22a1a2931c8370d3aeedd7183606fd7f, size: 14445097}]
    outs:
    - {path: data/prepared, hash: md5, md5: 153aad06d376b6595932470e459ef42a.dir, size: 8437363, nfiles: 2}
  train:
    cmd: python train.py
    outs: [{path: model.pkl, md5: 46865edbf3d62fc5c039dd9d2b0567a4, size: 1763725}]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    config = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://mybucket/dvcstore\n"
    (tmp_path / ".dvc/config").write_text(config)
    (tmp_path / "data.xml.dvc").write_text(TRACKED)
    (tmp_path / "dvc.lock").write_text(LOCK)
    return tmp_path


def test_a_tracked_file_is_a_version_by_reference_under_its_hash(client: Client, repository: Path) -> None:
    (version,) = dvc.publish(client, repository / "data.xml.dvc")
    assert version.fields["name"] == "data"
    assert version.uri == "s3://mybucket/dvcstore/files/md5/22/a1a2931c8370d3aeedd7183606fd7f"
    assert version.fields["version"] == "22a1a2931c8370d3aeedd7183606fd7f"
    assert version.fields["content_hash"] == "md5:22a1a2931c8370d3aeedd7183606fd7f"
    assert version.fields["size_bytes"] == 14445097
    (again,) = dvc.publish(client, repository / "data.xml.dvc")
    assert again.fields["id"] == version.fields["id"]


def test_a_lock_file_names_its_stages_outputs(client: Client, causeway: Command, repository: Path) -> None:
    said = json.loads(causeway("import", "dvc", repository / "dvc.lock", "--json"))
    found = {one["name"]: one for one in said}
    assert found["prepared"]["uri"].endswith("/files/md5/15/3aad06d376b6595932470e459ef42a.dir")
    assert found["prepared"]["kind"] == "directory"
    assert found["prepared"]["metadata"] == {"dvc.path": "data/prepared", "dvc.stage": "prepare", "dvc.files": "2"}
    assert found["model"]["uri"] == "s3://mybucket/dvcstore/46/865edbf3d62fc5c039dd9d2b0567a4", "as DVC 2 keeps it"
    one = causeway("import", "dvc", repository / "dvc.lock", "--output", "model.pkl", "--name", "churn")
    assert "churn" in one


def test_a_remote_of_this_machine_opens_nothing_for_others(repository: Path) -> None:
    (repository / ".dvc/config.local").write_text("['remote \"storage\"']\n    url = ../store\n")
    assert dvc.remote_of(repository) == f"dvc://{(repository / 'store').as_posix().lstrip('/')}"


def test_a_remotes_password_is_not_published(repository: Path) -> None:
    (repository / ".dvc/config.local").write_text("['remote \"storage\"']\n    url = ssh://ada:s3cr3t@host/store\n")
    assert dvc.remote_of(repository) == "ssh://ada@host/store"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("data.xml.dvc", "outs: [{path: x}]", "no md5"),
        ("data.xml.dvc", "a: [", "not YAML"),
        ("data.xml.dvc", "- 1", "neither a .dvc file nor a dvc.lock"),
        ("data.xml.dvc", "outs: [x]", "a list of mappings"),
        ("data.xml.dvc", "outs: {a: b}", "a list of mappings"),
        ("data.xml.dvc", "stages: [x]", "stages by their names"),
        ("data.xml.dvc", "outs: [{path: x, md5: ../../../../etc}]", "the md5 of x is none"),
        (".dvc/config", "[core", "cannot be read"),
        (".dvc/config", "[core]\n", "no default remote"),
        (".dvc/config", "[core]\nremote = other\n", "no remote called other"),
    ],
)
def test_it_says_what_is_missing(client: Client, repository: Path, file: str, text: str, words: str) -> None:
    (repository / file).write_text(text)
    with pytest.raises(CausewayError, match=words):
        dvc.publish(client, repository / "data.xml.dvc")


def test_several_outputs_take_no_one_name(client: Client, repository: Path) -> None:
    with pytest.raises(CausewayError, match=r"data/prepared, model\.pkl"):
        dvc.publish(client, repository / "dvc.lock", name="x")
    with pytest.raises(CausewayError, match="nothing called other"):
        dvc.publish(client, repository / "dvc.lock", output="other")
