from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import grpc
import pytest
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.service import dataproxy_pb2
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.remote import FlyteRemote

from artifacts.store import store
from scheduler.models import Execution
from tests.console.rpc import rows
from tests.console.rpc.test_dispatch import DATA_PROXY, status
from tests.console.rpc.test_lists import Call

MD5 = hashlib.md5(b"hello").digest()  # noqa: S324 - what the protocol uses


def upload(**over: object) -> dataproxy_pb2.CreateUploadLocationRequest:
    fields: dict[str, object] = {"project": "demo", "domain": "development", "content_md5": MD5, "filename": "a.txt"}
    return dataproxy_pb2.CreateUploadLocationRequest(**{**fields, **over})  # type: ignore[arg-type]


def test_it_gives_the_same_place_to_the_same_content(client: SynchronousFlyteClient) -> None:
    first = client.get_upload_signed_url("demo", "development", MD5, "a.txt", timedelta(minutes=5))
    second = client.get_upload_signed_url("demo", "development", MD5, "a.txt")
    assert first.native_url == second.native_url
    assert first.native_url.startswith(f"{store().root}/uploads/demo/development/")
    other = client.get_upload_signed_url("demo", "development", hashlib.md5(b"x").digest(), "a.txt")  # noqa: S324
    assert other.native_url != first.native_url


def test_it_does_not_let_a_named_file_be_replaced_by_another(call: Call) -> None:
    request = upload(filename_root="release")
    answer = call(DATA_PROXY, "CreateUploadLocation", request)
    store().put(answer.native_url, b"hello")  # type: ignore[attr-defined]
    assert call(DATA_PROXY, "CreateUploadLocation", request) is not None
    for md5 in (b"", hashlib.md5(b"other").digest()):  # noqa: S324
        with pytest.raises(grpc.RpcError) as error:
            call(DATA_PROXY, "CreateUploadLocation", upload(filename_root="release", content_md5=md5))
        assert status(error) is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    "over",
    [
        {"project": ""},
        {"domain": ""},
        {"content_md5": b""},
        {"content_md5": b"short"},
        {"filename": "../../../etc/passwd"},
        {"filename": "/etc/passwd"},
        {"filename": "a\x00b"},
        {"filename": "x" * 1000},
        {"filename_root": "../.."},
        {"filename_root": "a//b"},
        {"project": "..", "domain": "x"},
        {"project": "demo/development", "domain": "x"},
        {"expires_in": {"seconds": 7200}},
        {"expires_in": {"seconds": -1}},
        {"expires_in": {"seconds": 1, "nanos": -5}},
    ],
)
def test_it_refuses_an_upload_it_cannot_place(call: Call, over: dict[str, object]) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(DATA_PROXY, "CreateUploadLocation", upload(**over))
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT


def test_it_links_to_objects_of_a_project_only_for_its_readers(call: Call, token_of: object) -> None:
    uri = store().join(store().root, "raw", "demo", "development", "run", "n0", "0", "data")
    store().put(uri, b"hello")
    request = dataproxy_pb2.CreateDownloadLocationRequest(native_url=uri)
    assert call(DATA_PROXY, "CreateDownloadLocation", request).signed_url  # type: ignore[attr-defined]
    stranger = token_of("stranger", "viewer", project="other")  # type: ignore[operator]
    with pytest.raises(grpc.RpcError) as error:
        call(DATA_PROXY, "CreateDownloadLocation", request, token=stranger)
    assert status(error) is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("path", ["raw/other/../demo/development/x", "../../etc/passwd", "x", "raw/demo/development"])
def test_it_links_to_nothing_outside_a_project(call: Call, path: str) -> None:
    request = dataproxy_pb2.CreateDownloadLocationRequest(native_url=f"{store().root}/{path}")
    with pytest.raises(grpc.RpcError) as error:
        call(DATA_PROXY, "CreateDownloadLocation", request)
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("uri", ["/etc/passwd", "s3://bucket/key", "file:///etc/passwd", ""])
def test_it_links_to_nothing_outside_its_store(call: Call, uri: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(DATA_PROXY, "CreateDownloadLocation", dataproxy_pb2.CreateDownloadLocationRequest(native_url=uri))
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT


def _literals(**values: int) -> bytes:
    literals = literals_pb2.LiteralMap()
    for name, value in values.items():
        literals.literals[name].scalar.primitive.integer = value
    return literals.SerializeToString()


@pytest.fixture
def run(address: str) -> Execution:
    """An execution whose node n0 has inputs, outputs, a deck and one attempt."""
    folder = store().join(store().root, "metadata", "demo", "development", "run", "n0")
    store().put(f"{folder}/inputs.pb", _literals(number=3))
    store().put(f"{folder}/outputs.pb", _literals(o0=6))
    store().put(f"{folder}/deck.html", b"<html>")
    execution = rows.make_execution(rows.make_launch_plan(rows.make_workflow()), "run")
    uris: dict[str, Any] = {"input_uri": f"{folder}/inputs.pb", "output_uri": f"{folder}/outputs.pb"}
    node = rows.make_node(execution, "n0", deck_uri=f"{folder}/deck.html", **uris)
    rows.make_attempt(node, rows.make_task(), output_uri=uris["output_uri"])
    rows.make_node(execution, "n1")
    return execution


def test_it_gets_data_by_its_address(run: Execution, remote: FlyteRemote) -> None:
    base = f"flyte://v1/{run.key}/n0"
    assert remote.get(f"{base}/i").get("number", int) == 3
    assert remote.get(f"{base}/o").get("o0", int) == 6
    assert remote.get(f"{base}/o/o0").scalar.primitive.integer == 6
    assert remote.get(f"{base}/0/i/number").scalar.primitive.integer == 3
    data = remote.client.get_data(f"{base}/d")
    assert data.pre_signed_urls.signed_url[0].startswith("http")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "INVALID_ARGUMENT"),
        ("https://example.org", "INVALID_ARGUMENT"),
        ("flyte://v1/demo/development/run/n0/x", "INVALID_ARGUMENT"),
        ("flyte://v1/demo/development/run/n0/o/none", "INVALID_ARGUMENT"),
        ("flyte://v1/demo/development/run/n0/0/d", "INVALID_ARGUMENT"),
        ("flyte://v1/demo/development/run/n0/7/o", "NOT_FOUND"),
        ("flyte://v1/demo/development/run/n9/o", "NOT_FOUND"),
        ("flyte://v1/demo/development/none/n0/o", "NOT_FOUND"),
        ("flyte://v1/demo/development/run/n1/d", "NOT_FOUND"),
    ],
)
def test_it_says_what_is_wrong_with_an_address(run: Execution, call: Call, url: str, code: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(DATA_PROXY, "GetData", dataproxy_pb2.GetDataRequest(flyte_url=url))
    assert status(error).name == code


def test_it_links_to_a_deck(run: Execution, call: Call) -> None:
    node = identifier_pb2.NodeExecutionIdentifier(
        node_id="n0", execution_id={"project": "demo", "domain": "development", "name": "run"}
    )
    request = dataproxy_pb2.CreateDownloadLinkRequest(
        artifact_type=dataproxy_pb2.ARTIFACT_TYPE_DECK, node_execution_id=node
    )
    answer = call(DATA_PROXY, "CreateDownloadLink", request)
    assert answer.pre_signed_urls.signed_url == answer.signed_url  # type: ignore[attr-defined]
    with pytest.raises(grpc.RpcError) as error:
        call(DATA_PROXY, "CreateDownloadLink", dataproxy_pb2.CreateDownloadLinkRequest(node_execution_id=node))
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT


def test_it_sends_large_values_as_a_link_only(run: Execution, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    from flyteidl.admin import node_execution_pb2

    from tests.console.rpc.test_dispatch import ADMIN

    monkeypatch.setattr("console.rpc.literals.MAX_INLINE_BYTES", 4)
    identifier = {"node_id": "n0", "execution_id": {"project": "demo", "domain": "development", "name": "run"}}
    answer = call(ADMIN, "GetNodeExecutionData", node_execution_pb2.NodeExecutionGetDataRequest(id=identifier))
    assert not answer.full_outputs.literals  # type: ignore[attr-defined]
    size = len(_literals(o0=6))
    assert answer.outputs.bytes == size and answer.outputs.url.startswith("http")  # type: ignore[attr-defined]
