"""Secrets in a task's process: where flytekit looks for them, in that process only, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import execution_pb2

from artifacts.exceptions import NotFound
from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from scheduler.secrets.cipher import CannotOpen
from scheduler.secrets.mounts import Mounts, mount
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.conftest import Bench, error
from tests.scheduler.executors.test_local_raw import SIMPLE, raw, simple

pytestmark = pytest.mark.e2e  # real processes

VALUE = "s3cr3t-of-the-team"


def asking(bench: Bench, name: str, *requests: Request, **options: Any) -> Assignment:
    made = bench.task(name, **options)
    return replace(made, spec=replace(made.spec, secrets=requests))


def keep(bench: Bench, values: Mapping[str, str]) -> None:
    """`values` by group/key."""

    def secrets_of(attempt_id: int, asked: Sequence[Request]) -> Mounts:
        return mount([(one, one.name, values["/".join(one.name.parts)].encode()) for one in asked])

    bench.executor.means.secrets_of = secrets_of


def told(bench: Bench, ended: Any) -> str:
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    text: str = bench.outputs(ended).literals["o0"].scalar.primitive.string_value
    return text


@pytest.mark.parametrize("kind", ["ENV_VAR", "FILE", "ANY"])
def test_flytekit_finds_what_the_task_asked_for(own_bench: Bench, kind: str) -> None:
    keep(own_bench, {"Team/Token": VALUE})
    attempt = asking(
        own_bench, "secret", Request(Name("Team", "Token"), kind), inputs={"group": "Team", "key": "Token"}
    )
    assert told(own_bench, own_bench.run(attempt)) == VALUE


def test_a_variable_of_its_own_leads_to_value_or_file(own_bench: Bench) -> None:
    keep(own_bench, {"team/token": VALUE, "team/cert": "PEM"})
    requests = (Request(Name("team", "token"), "ENV_VAR", "TOKEN"), Request(Name("team", "cert"), "FILE", "CERT"))
    attempt = asking(own_bench, "secret_variables", *requests)
    assert told(own_bench, own_bench.run(attempt)) == f"{VALUE} PEM 0o600"


def test_no_other_task_has_it(own_bench: Bench, tmp_path: Path) -> None:
    keep(own_bench, {"team/token": VALUE})
    request, inputs = Request(Name("team", "token")), {"group": "team", "key": "token"}
    for _ in range(3):  # also from processes that were forked ahead, and shared ones
        assert told(own_bench, own_bench.run(asking(own_bench, "secret", request, inputs=inputs))) == VALUE
        without = own_bench.run(own_bench.task("secret", inputs=inputs, reuse=True))
        assert without.outcome.phase == AttemptPhase.FAILED
        assert "Unable to find secret" in error(without).message


def test_its_value_is_in_no_file_once_the_task_runs(own_bench: Bench, tmp_path: Path) -> None:
    keep(own_bench, {"team/token": VALUE})
    marker = tmp_path / "go"
    attempt = asking(own_bench, "waits_for", Request(Name("team", "token"), "ENV_VAR"), inputs={"marker": str(marker)})
    own_bench.executor.submit(attempt)
    own_bench.wait_start(attempt)
    runs = own_bench.home / "run"
    while list(runs.glob("*/secrets.json")):  # the process has yet to take it
        own_bench.executor.tick()
    files = [path for path in own_bench.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if VALUE.encode() in path.read_bytes()]
    marker.touch()
    assert own_bench.wait_end(attempt).outcome.phase == AttemptPhase.SUCCEEDED


def test_files_go_with_the_attempt(own_bench: Bench) -> None:
    keep(own_bench, {"team/token": VALUE})
    request, inputs = Request(Name("team", "token"), "FILE"), {"group": "team", "key": "token"}
    own_bench.run(asking(own_bench, "secret", request, inputs=inputs))
    own_bench.executor.workers.shutdown(wait=True)
    assert not list((own_bench.home / "run").iterdir())


def test_an_error_does_not_show_it(own_bench: Bench) -> None:
    keep(own_bench, {"team/token": VALUE})
    ended = own_bench.run(asking(own_bench, "fails_with_secret", Request(Name("team", "token"))))
    message = error(ended).message
    assert VALUE not in message and VALUE not in ended.outcome.reason
    assert "cannot log in with ****" in message


@pytest.mark.parametrize(
    ("raised", "code", "kind"),
    [
        (NotFound("the task asks for the secret token of group team"), "SecretNotFound", "USER"),
        (CannotOpen("a secret was sealed with a key that is not configured here"), "SecretUnreadable", "SYSTEM"),
    ],
)
def test_without_it_the_task_ends_before_it_starts(bench: Bench, raised: Exception, code: str, kind: str) -> None:
    def fail(attempt_id: int, asked: object) -> Mounts:
        raise raised

    bench.executor.means.secrets_of = fail
    attempt = asking(bench, "add", Request(Name("team", "token")), inputs={"a": 1, "b": 1})
    ended = bench.run(attempt)
    assert attempt.attempt_id not in bench.starts and not ended.outcome.retryable
    assert error(ended).code == code
    assert error(ended).kind == execution_pb2.ExecutionError.ErrorKind.Value(kind)
    assert error(ended).message == str(raised)


def test_a_raw_container_has_it_too(own_bench: Bench) -> None:
    keep(own_bench, {"team/token": VALUE})
    script = 'test "$_FSEC_TEAM_TOKEN" = s3cr3t-of-the-team && cat /etc/flyte/secrets/team/token > /var/outputs/y'
    made = raw(own_bench, script, {"y": simple(SIMPLE.STRING)})
    asked = (Request(Name("team", "token")),)
    ended = own_bench.run(replace(made, spec=replace(made.spec, secrets=asked)))
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, own_bench.log(made)
    assert own_bench.outputs(ended).literals["y"].scalar.primitive.string_value == VALUE
