"""Versions declared as mounted, in a store that is not on this machine: one copy, whoever looks and whenever."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import pytest
from causeway.client import Client

from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import running_stack

pytestmark = pytest.mark.e2e

KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}


@pytest.fixture
def copies() -> Iterator[list[str]]:
    """Where copies were found, which go with the test: they lie in /tmp, as the task's user has them."""
    found: list[str] = []
    yield found
    for place in found:
        shutil.rmtree(Path(place).parent, ignore_errors=True)


@pytest.fixture(scope="module")
def user(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlytekitUser]:
    keys = {"endpoint_url": s3_endpoint, "region_name": "us-east-1", "aws_access_key_id": "k"}
    boto3.client("s3", aws_secret_access_key="s", **keys).create_bucket(Bucket="gallery")
    folder = tmp_path_factory.mktemp("gallery")
    with running_stack(
        folder / "home", CAUSEWAY_STORE_URL="s3://gallery/objects", AWS_ENDPOINT_URL=s3_endpoint, **KEYS
    ) as stack:
        user = FlytekitUser(stack, folder / "programs")
        assert "Successfully registered" in user.register("gallery", "v1")
        yield user


def looked(user: FlytekitUser, flow: str) -> tuple[str, int]:
    place, total = user.outputs(flow, user.launch(flow))
    return str(place), int(total)


def test_the_second_start_needs_no_copy(user: FlytekitUser, copies: list[str]) -> None:
    run = user.wait(user.launch("gallery.flows.collect_wf"))
    assert run.error is None, run.error.message
    version = Client(user.stack.http_url, user.stack.admin_token, PROJECT, DOMAIN).get("pictures")
    assert version.metadata == {"mounted": "yes"} and version.uri.startswith("s3://gallery/")
    place, total = looked(user, "gallery.flows.look_wf")
    copies.append(place)
    assert total == 0 + 1 + 2 and not os.stat(place).st_mode & 0o222
    made = Path(place).parent.joinpath(".ready").stat().st_mtime_ns
    assert looked(user, "gallery.flows.look_wf") == (place, total)
    assert Path(place).parent.joinpath(".ready").stat().st_mtime_ns == made


def test_within_one_execution_too(user: FlytekitUser, copies: list[str]) -> None:
    place, total = looked(user, "gallery.flows.both_wf")
    copies.append(place)
    assert total == 0 + 1 + 2 + 3 and Path(place).parent.joinpath(".ready").exists()
