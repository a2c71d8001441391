"""What nobody means well with: each answer is a clear 4xx or harmless, soon, and leaves no half-written rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from artifacts.models import Artifact, ArtifactVersion, Partition
from tests.console.rest.conftest import Caller

VERSIONS = "/api/v1/artifacts/demo/development/dataset/versions"
ARTIFACTS = "/api/v1/artifacts/demo/development"

NASTY = [
    "'; DROP TABLE artifacts_artifact; --",
    '"quoted"',
    "\u202egpj.exe",
    "é" * 500,
    "👩‍👩‍👧",
    "a\tb\nc",
    "%00../",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "\\",
    "a=b&c=d",
]


@pytest.mark.parametrize("value", NASTY)
def test_a_partition_value_is_kept_as_it_is(api: Caller, value: str) -> None:
    ann = api("ann")
    answer = ann.post(VERSIONS, {"value": 1, "partitions": {"region": value}})
    assert answer.status_code == 201, answer.content
    found = ann.get(f"{ARTIFACTS}/dataset/resolve", {"partition.region": value})
    assert found.json()["version"]["partitions"] == {"region": value}
    address = answer.json()["address"]
    assert (
        ann.get("/api/v1/artifact-versions", {"q": "name:dataset"}).json()["results"][0]["partitions"]["region"]
        == value
    )
    assert address.startswith("flyte://")


REFUSED = [
    {"value": 1, "partitions": {"region": "x" * 10_240}},
    {"value": 1, "partitions": {"region": "a\x00b"}},
    {"value": 1, "partitions": {"region": "\ud800"}},
    {"value": 1, "partitions": {"\ud800": "a"}},
    {"value": 1, "partitions": {"a\x00": "a"}},
    {"value": 1, "partitions": {"a b": "a"}},
    {"value": 1, "partitions": {"": "a"}},
    {"value": 1, "partitions": {"x" * 300: "a"}},
    {"value": 1, "partitions": {f"k{index}": "v" for index in range(11)}},
    {"value": 1, "partitions": ["region"]},
    {"value": 1, "partitions": {"region": 1.5, "time_partition": "2026-01-01"}},
    {"value": "\ud800"},
    {"value": "a\x00b" * 10, "version": "\x00"},
    {"value": {"\ud800": 1}},
    {"value": ["\ud800"]},
    {"value": 1, "metadata": {"\ud800": "a"}},
    {"value": 1, "metadata": {"a\x00": "b"}},
    {"value": 1, "metadata": {"a": "\ud800"}},
    {"value": 1, "metadata": {"": "b"}},
    {"value": 1, "metadata": {"a": "x" * 20_000}},
    {"value": 1, "metrics": {"\ud800": 1}},
    {"value": 1, "metrics": {"a\x00": 1}},
    {"value": 1, "metrics": {"auc": 1e999}},
    {"value": 1, "metrics": {"auc": "NaN"}},
    {"value": 1, "card": "a\x00b"},
    {"value": 1, "card": "\ud800"},
    {"value": 1, "version": "../../etc"},
    {"value": 1, "version": "v" * 401},
    {"value": 1, "description": "\ud800"},
    {"value": 1, "producer": "p" * 401},
    {"value": 1, "time_partition": "9999-99-99"},
    {"value": 1, "time_partition": "0001-01-01T00:00:00+14:00"},
    {"value": 10**400},
    {"value": [[[]] * 3] * 3, "kind": "x"},
    {"uri": "javascript:alert(1)\x00"},
    {"uri": "\ud800"},
    {"uri": "file:///etc/passwd"},
    {"uri": "/etc/passwd"},
    {"uri": "s3://bucket/x", "size_bytes": -1},
    {"uri": "s3://bucket/x", "size_bytes": 2**70},
    {"uri": "s3://bucket/x", "content_hash": "x" * 200},
    {"value": 1, "content_hash": "x"},
    {"value": 1, "unknown": 1},
    {"value": "soon", "type": "datetime"},
    {"value": 1, "type": "thing"},
]


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: json.dumps(body)[:60])
def test_it_refuses_what_cannot_be(api: Caller, body: dict[str, Any]) -> None:
    answer = api("ann").generic("POST", VERSIONS, json.dumps(body), content_type="application/json")
    assert answer.status_code == 400, (answer.status_code, answer.content[:300])
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert not (Artifact.objects.exists() or ArtifactVersion.objects.exists() or Partition.objects.exists())


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


BODIES = [
    ("{", "application/json", 400),
    ("", "application/json", 400),
    ("null", "application/json", 400),
    ("[]", "application/json", 400),
    ("3", "application/json", 400),
    ('{"value": NaN}', "application/json", 400),
    ('{"value": 1e400}', "application/json", 400),
    ('{"value": 1, "value": 2}', "application/json", 400),
    ('{"value": {"a": 1, "b": {"c": 1, "c": 1}}}', "application/json", 400),
    (f'{{"value": {deep(100_000)}}}', "application/json", 400),
    (f'{{"value": {deep(500)}}}', "application/json", 400),
    (f'{{"value": "{"x" * 11_000_000}"}}', "application/json", 413),
    ("value=1", "application/x-www-form-urlencoded", 415),
    ("<value/>", "application/xml", 415),
    ('{"value": 1}', "text/plain", 415),
    ("--x", "multipart/form-data", 400),
    ("--x\r\n\r\n", "multipart/form-data; boundary=x", 400),
    (b"\xff\xfe{", "application/json", 400),
    (b'{"value": "\xff"}', "application/json", 400),
]


@pytest.mark.parametrize(("body", "kind", "status"), BODIES, ids=lambda each: str(each)[:40])
def test_it_refuses_bodies_that_are_not_what_they_say(api: Caller, body: Any, kind: str, status: int) -> None:
    answer = api("ann").generic("POST", VERSIONS, body, content_type=kind)
    assert answer.status_code == status, (answer.status_code, answer.content[:300])
    assert answer["Content-Type"] == "application/problem+json"
    assert not ArtifactVersion.objects.exists()


@pytest.mark.parametrize("name", ["a:b", "a@b", "a%3Fb", "%00", "%20", "x" * 256, "%ED%A0%80", "..%5C.."])
def test_it_refuses_hostile_names(api: Caller, name: str) -> None:
    answer = api("ann").post(f"{ARTIFACTS}/{name}/versions", {"value": 1})
    if answer.status_code == 201:  # backslashes are letters like others
        assert answer.json()["name"] == "..\\.."
    else:
        assert answer.status_code in (400, 404), answer.content


@pytest.mark.parametrize("alias", ["latest", "%00", "a%20b", "v1%3B", "%F0%9F%98%80", "x" * 65, "..", "a:b"])
def test_it_refuses_hostile_aliases(api: Caller, alias: str) -> None:
    abe = api("abe")
    assert abe.post(VERSIONS, {"value": 1, "version": "v1"}).status_code == 201
    answer = abe.put(f"{ARTIFACTS}/dataset/aliases/{alias}", {"version": "v1"})
    assert answer.status_code in (400, 404), answer.content
    assert abe.get(f"{ARTIFACTS}/dataset").json()["aliases"] == []


def test_an_alias_never_names_itself(api: Caller) -> None:
    """Aliases are resolved when they are set and point at versions, so they cannot form a circle."""
    abe = api("abe")
    abe.post(VERSIONS, {"value": 1, "version": "v1"})
    url = f"{ARTIFACTS}/dataset/aliases"
    assert abe.put(f"{url}/a", {"version": "a"}).status_code == 404
    assert abe.put(f"{url}/a", {"version": "v1"}).json()["version"] == "v1"
    assert abe.put(f"{url}/b", {"version": "a"}).json()["version"] == "v1"
    assert abe.put(f"{url}/a", {"version": "b"}).json()["version"] == "v1"
    # no version takes the name of an alias
    assert abe.post(VERSIONS, {"value": 2, "version": "b"}).status_code == 409
    assert abe.get(f"{VERSIONS}/b").json()["value"] == 1


def test_a_signed_link_cannot_be_bent(api: Caller) -> None:
    ann = api("ann")
    body = {"files": [{"path": "a", "size_bytes": 1, "sha256": "0" * 64}]}
    url = ann.post("/api/v1/uploads/demo/development", body).json()["files"][0]["parts"][0]["url"]
    path = "/" + url.split("/", 3)[3]
    browser = Client()
    assert browser.get(path).status_code == 403
    assert browser.put(path[:-3] + "abc", b"x").status_code == 403
    assert browser.put(path + "/../../x", b"x").status_code in (403, 404)
    assert browser.put(path, b"").status_code == 400
    assert browser.put(path, b"x", content_type="text/html").status_code == 200
