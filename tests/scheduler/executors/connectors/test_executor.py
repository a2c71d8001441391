"""Attempts at flytekit's own connector service: what it is told, what its word means, and what time brings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from flyteidl.core import errors_pb2, execution_pb2, literals_pb2

from scheduler.attempts.observations import Accepted, Ended, Progress, Running, Waiting
from scheduler.attempts.outcomes import USER
from scheduler.executors.connectors import keeping, life
from scheduler.executors.connectors.connector import Connector
from scheduler.executors.connectors.jobs import Job
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.connectors.conftest import Serving, Yard

pytestmark = pytest.mark.e2e


def error_of(ended: Ended) -> execution_pb2.ExecutionError:
    assert ended.outcome.phase == AttemptPhase.FAILED, ended.outcome
    return execution_pb2.ExecutionError.FromString(ended.outcome.error or b"")


def test_it_hands_on_inputs_and_who_runs_and_takes_the_outputs_of_the_answer(yard: Yard) -> None:
    assignment = yard.submitted("ann", text="mast")
    yard.mark("ann")
    ended = yard.end(assignment)
    assert yard.outputs(ended) == {"o0": f"mast|s3cr3t-of-the-yard|e{assignment.attempt_id}"}
    assert ended.started_at is not None and ended.started_at <= ended.at
    assert yard.orders() == ["create ann"]


def test_a_type_has_versions_and_each_is_asked_with_its_own(yard: Yard) -> None:
    assignment = yard.submitted("two", version=2)
    yard.mark("two")
    assert yard.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED


def test_what_a_job_waits_for_and_says_is_told_once_each(yard: Yard) -> None:
    yard.mark("bea", "waits")
    assignment = yard.submitted("bea")
    waiting = yard.wait(Waiting, assignment)
    assert waiting.reason == "JobQueued: no dock is free" and waiting.handle
    (yard.folder / "bea.waits").unlink()
    running = yard.wait(Running, assignment)
    assert yard.wait(Progress, assignment).message == "under construction"
    time.sleep(0.3)
    said = [event for event in yard.events if isinstance(event, Waiting | Progress)]
    assert len(said) == 2
    yard.mark("bea")
    yard.end(assignment)
    assert yard.wait(Accepted, assignment).handle == running.handle and running.handle.startswith("yard/ship/")


def test_links_and_what_the_service_says_of_the_job_are_kept(yard: Yard) -> None:
    assignment = yard.submitted("cat")
    yard.mark("cat")
    yard.end(assignment)
    job = yard.records.jobs[assignment.attempt_id]
    assert job.links == (("Yard", "https://yard.example/cat"),)
    assert job.info == {"hull": "cat", "weight": 7.0}
    assert job.connector == "yard" and job.created_at is not None


def test_a_job_that_failed_says_why_and_is_repeated_only_if_the_service_says_so(yard: Yard) -> None:
    assignment = yard.submitted("dee")
    yard.mark("dee", "sunk")
    ended = yard.end(assignment)
    error = error_of(ended)
    assert (error.code, error.message, error.kind) == ("TaskFailedWithError", "it sank", USER)
    assert not ended.outcome.retryable


def test_an_error_that_the_job_itself_wrote_goes_before_the_services_word(yard: Yard) -> None:
    assignment = yard.order("eva")
    document = errors_pb2.ErrorDocument()
    document.error.code, document.error.message = "USER:Leak", "water in the hold"
    yard.store.put(f"{assignment.spec.addresses.output_prefix}/error.pb", document.SerializeToString())
    yard.executor.submit(assignment)
    yard.mark("eva", "sunk")
    assert error_of(yard.end(assignment)).message == "water in the hold"


def test_outputs_that_the_job_wrote_count_where_the_answer_has_none(yard: Yard) -> None:
    assignment = yard.order("fay")
    written = literals_pb2.LiteralMap()
    written.literals["o0"].scalar.primitive.string_value = "from the yard"
    yard.store.put(f"{assignment.spec.addresses.output_prefix}/outputs.pb", written.SerializeToString())
    yard.mark("fay", "silent")
    yard.mark("fay")
    yard.executor.submit(assignment)
    assert yard.outputs(yard.end(assignment)) == {"o0": "from the yard"}


def test_success_without_outputs_is_none(yard: Yard) -> None:
    yard.mark("gus", "silent")
    yard.mark("gus")
    assert error_of(yard.end(yard.submitted("gus"))).code == "OutputsNotFound"
    without = yard.submitted("gus", outputs=False)
    assert yard.outputs(yard.end(without)) == {}


def test_a_connector_whose_code_fails_has_failed_the_task_with_its_words(yard: Yard) -> None:
    error = error_of(yard.end(yard.submitted("hal", refuse=True)))
    assert error.code == "ConnectorError" and "ValueError: no ship of that name is built here" in error.message
    assert yard.orders() == []


def test_a_type_that_no_connector_knows_is_refused_by_name(yard: Yard) -> None:
    error = error_of(yard.end(yard.submitted("ida", task_type="submarine")))
    assert (error.code, error.kind) == ("NoExecutor", USER) and "'submarine'" in error.message
    error = error_of(yard.end(yard.submitted("ida", version=7)))
    assert "in version 7" in error.message


def test_a_service_that_works_while_it_is_asked(yard: Yard) -> None:
    assignment = yard.submitted("joe", task_type="chandler", text="rope")
    assert yard.outputs(yard.end(assignment)) == {"o0": "sold joe"}
    failed = yard.submitted("kit", task_type="chandler", refuse=True)
    assert error_of(yard.end(failed)).message == "sold out"
    assert yard.orders() == ["do joe", "do kit"]


def test_cancelling_deletes_the_job(yard: Yard) -> None:
    assignment = yard.submitted("lea")
    yard.wait(Running, assignment)
    yard.executor.cancel(assignment.attempt_id)
    assert yard.end(assignment).outcome.phase == AttemptPhase.ABORTED
    assert yard.orders() == ["create lea", "delete lea"]


def test_cancelling_what_is_done_while_it_is_asked_ends_the_call(yard: Yard) -> None:
    assignment = yard.submitted("may", task_type="chandler", slow=True)
    yard.wait(Running, assignment)
    yard.executor.cancel(assignment.attempt_id)
    assert yard.end(assignment, seconds=5).outcome.phase == AttemptPhase.ABORTED
    yard.mark("may")


def test_a_job_that_takes_longer_than_the_tasks_timeout_is_deleted(yard: Yard) -> None:
    assignment = yard.submitted("ned", timeout=0.3)
    error = error_of(ended := yard.end(assignment))
    assert error.code == "TimeoutExpired" and "0.3 s" in error.message and ended.outcome.retryable
    assert yard.orders() == ["create ned", "delete ned"]


def test_errors_while_it_is_asked_for_a_job_are_told_and_pass(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.mark("ole", "broken")
    assignment = yard.submitted("ole")
    seen = yard.wait(Waiting, assignment)
    assert seen.code == "ConnectorError" and "the yard's books are wet" in seen.message
    (yard.folder / "ole.broken").unlink()
    yard.mark("ole")
    assert yard.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED
    monkeypatch.setattr(life, "PATIENCE_SECONDS", 0.5)
    yard.mark("pat", "broken")
    assert "cannot tell how the job is" in error_of(yard.end(yard.submitted("pat"))).message


def test_a_closed_connector_and_one_for_other_projects_get_nothing_new(serving: Serving, tmp_path: Path) -> None:
    yard = Yard(
        tmp_path,
        Connector(name="closed", endpoint=serving.endpoint, open=False),
        Connector(name="others", endpoint=serving.endpoint, projects=("isles",)),
        Connector(name="chandler", endpoint=serving.endpoint, task_types=("chandler",)),
    )
    yard.start()
    try:
        assert error_of(yard.end(yard.submitted("quinn"))).code == "NoExecutor"
        sold = yard.submitted("roy", task_type="chandler")
        yard.end(sold)
        assert yard.records.jobs[sold.attempt_id].connector == "chandler"
    finally:
        yard.executor.stop()


# --- one that is down, and restarts of either side --------------------------------------------------------------------


@pytest.fixture
def own(serving: Serving) -> Iterator[Serving]:
    """A service that the test may kill; the shared one is asked for, so that both are skipped where there is none."""
    one = Serving()
    yield one
    one.kill()


@pytest.fixture
def far(own: Serving, tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path, Connector(name="yard", endpoint=own.endpoint, get_seconds=5))
    yield made
    made.executor.stop()


def test_one_that_is_down_delays_and_says_so(own: Serving, far: Yard) -> None:
    far.start()
    assignment = far.submitted("sam")
    waiting = far.wait(Waiting, assignment)
    assert waiting.code == "ConnectorUnavailable" and own.endpoint in waiting.message
    own.start()
    far.wait(Running, assignment)
    far.mark("sam")
    assert far.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED
    assert far.orders() == ["create sam"]


def test_what_waits_for_a_service_can_be_cancelled(far: Yard) -> None:
    far.start()
    assignment = far.submitted("tim")
    far.wait(Waiting, assignment)
    far.executor.cancel(assignment.attempt_id)
    assert far.end(assignment, seconds=5).outcome.phase == AttemptPhase.ABORTED
    assert not far.records.jobs


def test_a_service_that_is_killed_while_a_job_runs_is_asked_again_when_it_is_back(own: Serving, far: Yard) -> None:
    own.start()
    far.start()
    assignment = far.submitted("una")
    far.wait(Running, assignment)
    own.kill()
    told = far.wait(Progress, assignment, such=lambda seen: "ConnectorUnavailable" in seen.message)
    assert "asked for again" in told.message
    own.start()
    far.wait(Progress, assignment, such=lambda seen: seen is not told and "construction" in seen.message)
    far.mark("una")
    assert far.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED
    assert far.orders() == ["create una"]


def test_a_service_that_is_killed_while_it_makes_a_job_is_not_asked_twice(own: Serving, far: Yard) -> None:
    own.start()
    far.start()
    assignment = far.submitted("vic", slow=True)
    until = time.monotonic() + 20
    while far.orders() != ["create vic"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    own.kill()
    ended = far.end(assignment)
    error = error_of(ended)
    assert error.code == "ConnectorAnswerLost" and error.kind == USER and ended.outcome.retryable
    assert "may run" in error.message
    own.start()
    time.sleep(0.5)
    assert far.orders() == ["create vic"]


def test_of_types_that_may_be_repeated_a_job_is_made_again(own: Serving, far: Yard) -> None:
    far.connectors = [Connector(name="yard", endpoint=own.endpoint, repeatable=("ship",))]
    own.start()
    far.start()
    assignment = far.submitted("wes", slow=True)
    until = time.monotonic() + 20
    while far.orders() != ["create wes"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    own.kill()
    far.mark("wes", "made")
    far.mark("wes")
    own.start()
    assert far.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED
    assert far.orders() == ["create wes", "create wes"]


def test_an_executor_that_ends_after_it_asked_and_before_the_answer_does_not_ask_again(yard: Yard) -> None:
    assignment = yard.submitted("xan", slow=True)
    until = time.monotonic() + 20
    while yard.orders() != ["create xan"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    yard.executor.stop()
    yard.mark("xan", "made")
    yard.start().adopt(assignment)
    assert error_of(yard.end(assignment)).code == "ConnectorAnswerLost"
    assert yard.orders() == ["create xan"]


def test_an_executor_that_ends_while_jobs_run_finds_them_by_what_was_written_down(yard: Yard) -> None:
    many = [yard.submitted(f"y{number}") for number in range(5)]
    handles = [yard.wait(Running, one).handle for one in many]
    yard.executor.stop()
    yard.start()
    for one in many:
        yard.executor.adopt(one)
    assert [yard.wait(Running, one).handle for one in many] == handles
    for number, one in enumerate(many):
        yard.mark(f"y{number}")
        assert yard.end(one).outcome.phase == AttemptPhase.SUCCEEDED
    assert sorted(yard.orders()) == [f"create y{number}" for number in range(5)]


def test_an_adopted_job_of_a_service_that_is_down_says_so_whether_or_not_it_ran_before(own: Serving, far: Yard) -> None:
    own.start()
    far.start()
    assignment = far.submitted("zac")
    far.wait(Running, assignment)
    far.executor.stop()
    own.kill()
    far.start().adopt(assignment)
    assert far.wait(Waiting, assignment).code == "ConnectorUnavailable"
    assert "ConnectorUnavailable" in far.wait(Progress, assignment).message
    own.start()
    far.mark("zac")
    assert far.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED


def test_a_result_of_one_call_that_was_written_and_not_recorded_is_told_again(yard: Yard) -> None:
    assignment = yard.submitted("zoe", task_type="chandler")
    first = yard.end(assignment)
    yard.executor.stop()
    yard.start().adopt(assignment)
    again = yard.end(assignment)
    assert yard.outputs(again) == yard.outputs(first) == {"o0": "sold zoe"}
    assert yard.orders() == ["do zoe"]


def test_connectors_that_are_set_while_it_runs_are_used(serving: Serving, tmp_path: Path) -> None:
    yard = Yard(tmp_path, Connector(name="elsewhere", endpoint="127.0.0.1:1"))
    yard.start()
    try:
        assignment = yard.submitted("adi")
        yard.wait(Waiting, assignment)
        yard.connectors.append(Connector(name="yard", endpoint=serving.endpoint))
        yard.mark("adi")
        assert yard.end(assignment).outcome.phase == AttemptPhase.SUCCEEDED
    finally:
        yard.executor.stop()


def test_settings_that_change_keep_what_is_asked_and_count_for_what_comes(yard: Yard, serving: Serving) -> None:
    """A call that is the work itself goes on over the connection that it began on."""
    assignment = yard.submitted("bo", task_type="chandler", slow=True)
    yard.wait(Running, assignment)
    yard.connectors[:] = [Connector(name="yard", endpoint=serving.endpoint, task_types=("chandler",), at_once=1)]
    until = time.monotonic() + 20
    while yard.executor.directory.services["yard"].settings.at_once != 1:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert error_of(yard.end(yard.submitted("bo2"))).code == "NoExecutor"
    yard.mark("bo")
    assert yard.outputs(yard.end(assignment)) == {"o0": "sold bo"}


def test_nobody_is_asked_before_it_is_written_down(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[object] = []
    save = yard.records.save

    def failing(jobs: Mapping[int, Job | None]) -> None:
        if len(refused) < 2:
            refused.append(yard.orders())
            raise OSError("the database is away")
        save(jobs)

    monkeypatch.setattr(keeping, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(yard.records, "save", failing)
    yard.mark("cy")
    assert yard.end(yard.submitted("cy")).outcome.phase == AttemptPhase.SUCCEEDED
    assert refused == [[], []] and yard.orders() == ["create cy"]


def test_the_timeout_of_tasks_without_one_counts_too(serving: Serving, tmp_path: Path) -> None:
    made = Yard(tmp_path, Connector(name="yard", endpoint=serving.endpoint), task_seconds=0.3)
    made.start()
    try:
        error = error_of(made.end(made.submitted("di")))
        assert error.code == "TimeoutExpired" and "CAUSEWAY_TASK_TIMEOUT" in error.message
    finally:
        made.executor.stop()
