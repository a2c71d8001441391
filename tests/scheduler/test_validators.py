"""What a task left of what validators of data said, as checks of the versions that it read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from artifacts.exceptions import InvalidArgument
from artifacts.governance.checks import Report, Wish, report, set_check
from artifacts.models import ArtifactVersion, CheckResult, Happening
from artifacts.store import LocalStore, store
from lineage.actions.record import Use, record_consumed
from scheduler.attempts import validators
from scheduler.attempts.judge import Showing, told_by_files
from scheduler.authority import Authority
from scheduler.models import Execution, TaskExecution
from scheduler.phases import AttemptPhase
from tests.artifacts.governance.making import model, settle
from tests.scheduler.attempts import make_attempt

pytestmark = pytest.mark.usefixtures("object_store")
FAILED = {"passed": False, "value": 2.0, "message": "2 cases failed", "evidence": {"cases": [{"column": "fish"}]}}


def running(*versions: ArtifactVersion) -> TaskExecution:
    """An attempt in the project of `model`, which read the versions."""
    attempt = make_attempt(phase=AttemptPhase.RUNNING)
    Execution.objects.filter(pk=attempt.execution_id).update(
        project="flytesnacks", domain="development", principal="eve"
    )
    key = Execution.objects.get(pk=attempt.execution_id).key
    record_consumed(key, [Use(version.pk, node_id="n0", variable="catch") for version in versions], at=now())
    return attempt


def now() -> datetime:
    return datetime.now(timezone.utc)


def end(attempt: TaskExecution, *rows: dict[str, Any]) -> None:
    left(attempt, json.dumps(rows).encode())


def left(attempt: TaskExecution, document: bytes) -> None:
    """As a turn of its execution finds it."""
    folder = store().join(store().root, "said", attempt.name)
    store().put(store().join(folder, "checks.json"), document)
    execution = Execution.objects.get(pk=attempt.execution_id)
    decks = {attempt.pk: store().join(folder, "deck.html"), 0: f"{folder}/none/deck.html"}
    validators.keep(execution, decks, Authority(execution.principal))


def about(version: ArtifactVersion, said: dict[str, Any] = FAILED) -> dict[str, Any]:
    return {"version": version.pk, "check": "pandera-Catch", "said": said}


def result(version: ArtifactVersion) -> tuple[str, str, str]:
    row = CheckResult.objects.get(version=version)
    return row.status, row.severity, row.actor


@pytest.mark.django_db
def test_what_a_reader_finds_only_warns() -> None:
    version = model("v1")
    end(running(version), about(version))
    assert result(version) == ("failed", "warn", "eve")
    row = CheckResult.objects.get(version=version)
    assert (row.numbers, row.evidence, row.message) == ({"value": 2.0}, FAILED["evidence"], "2 cases failed")
    settle()


@pytest.mark.django_db
def test_it_has_the_severity_of_the_artifacts_own_check() -> None:
    version = model("v1")
    set_check(version.artifact, Wish("pandera-Catch", "reported"), actor="root")
    end(running(version), about(version))
    assert result(version) == ("failed", "block", "eve")


@pytest.mark.django_db
def test_it_does_not_contradict_who_published() -> None:
    version = model("v1")
    report(version, Report("pandera-Catch", passed=True), actor="ada")
    end(running(version), about(version))
    assert result(version) == ("passed", "block", "ada")


@pytest.mark.django_db
@pytest.mark.parametrize("severity", ["warn", "block"])
@pytest.mark.parametrize("has_rule", [False, True])
def test_it_makes_nothing_good_that_another_found(severity: str, has_rule: bool) -> None:
    version = model("v1")
    if has_rule:
        set_check(version.artifact, Wish("pandera-Catch", "reported", severity=severity), actor="root")
    report(version, Report("pandera-Catch", passed=False, severity="" if has_rule else severity), actor="ada")
    end(running(version), about(version, {"passed": True}))
    assert result(version) == ("failed", severity, "ada")


@pytest.mark.django_db
def test_of_who_took_turns_each_change_is_told_and_no_repetition() -> None:
    version = model("v1")
    set_check(version.artifact, Wish("pandera-Catch", "reported"), actor="root")
    for principal in ("eve", "bob", "eve"):
        attempt = running(version)
        Execution.objects.filter(pk=attempt.execution_id).update(principal=principal)
        end(attempt, about(version))
    assert Happening.objects.filter(kind="check.failed", version=version).count() == 1


@pytest.mark.django_db
@pytest.mark.accounts
def test_who_may_not_publish_reports_nothing() -> None:
    version = model("v1")
    end(running(version), about(version))
    assert not CheckResult.objects.filter(version=version).exists()


@pytest.mark.django_db
def test_what_cannot_be_kept_takes_nothing_else_along() -> None:
    version, other = model("v1"), model("v2")
    end(running(version), about(other), about(version), {"check": "whylogs", "said": FAILED})
    assert result(version)[0] == "failed" and not CheckResult.objects.filter(version=other).exists()
    assert Happening.objects.filter(kind="check.failed", version=None).count() == 1


@pytest.mark.django_db
def test_told_twice_it_happened_once() -> None:
    version = model("v1")
    for attempt in (running(version), running(version)):
        end(attempt, about(version), {"check": "whylogs-constraints", "said": FAILED})
        end(attempt, about(version), {"check": "whylogs-constraints", "said": FAILED})
    assert Happening.objects.filter(kind="check.failed", version=version).count() == 1
    assert Happening.objects.filter(kind="check.failed", version=None).count() == 2
    assert result(version)[0] == "failed"


@pytest.mark.django_db
def test_what_kept_a_task_from_publishing_is_a_happening_of_its_execution() -> None:
    attempt = running()
    end(attempt, {"check": "pandera-Catch", "said": FAILED})
    row = Happening.objects.get(kind="check.failed")
    assert row.execution_key == Execution.objects.get(pk=attempt.execution_id).key == row.subject
    assert (row.version, row.name, row.project, row.actor) == (None, "pandera-Catch", "flytesnacks", "eve")
    assert row.detail["message"] == "2 cases failed" and row.detail["numbers"] == {"value": 2.0}
    settle()  # nothing of what follows from checks asks for a version


@pytest.mark.django_db
@pytest.mark.parametrize(
    "document",
    [
        lambda version: [about(version)],  # of a version that it did not read
        lambda version: [{"version": 2**62, "check": "x", "said": FAILED}],
        lambda version: [{"version": version.pk, "check": "not a name", "said": FAILED}],
        lambda version: [{"version": version.pk, "check": "x", "said": {"evidence": {"a": "\0"}, "passed": True}}],
        lambda version: {"version": version.pk},
        lambda version: [7],
    ],
)
def test_what_is_forged_or_broken_is_not_kept(document: Callable[[ArtifactVersion], Any]) -> None:
    version, read = model("v1"), model("v2")
    attempt = running(read)
    left(attempt, json.dumps(document(version)).encode())
    assert not CheckResult.objects.exists() and not Happening.objects.filter(kind="check.failed").exists()


@pytest.mark.parametrize("document", [b"", b"{", b"[" * 100_000, b'[{"check": "x"}] ', json.dumps([{}] * 101).encode()])
def test_what_cannot_be_read_is_refused(document: bytes) -> None:
    if document.startswith(b'[{"check": "x"}'):
        assert validators.read(document)[0].version_id is None
        return
    with pytest.raises(InvalidArgument):
        validators.read(document)


def test_it_shows_no_secret(tmp_path: Path) -> None:
    local = LocalStore(str(tmp_path), public_url="http://testserver", max_upload_bytes=0)
    prefix = f"file://{tmp_path}/out"
    for name in ("outputs.pb", "deck.html"):
        local.put(local.join(prefix, name), b"")
    quoted = 'pä"ss\\word'
    said = {"said": ["hunter22", quoted]}
    local.put(checks := local.join(prefix, "checks.json"), json.dumps(said).encode())
    assert told_by_files(prefix, local, Showing(hidden=("hunter22", quoted))) is not None
    assert json.loads(local.get(checks)) == {"said": ["****", "****"]}
