"""What attempts asked for and used, and equal failures together."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from flyteidl.core import execution_pb2

from console.accounts.models import User
from console.pages.failure_groups import grouped, likeness
from console.pages.failures import Failure
from scheduler.models import AttemptSamples, Execution, NodeKind, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import World, make_attempt, make_node

Browse = Callable[[User], Client]
RUN = "/executions/demo/development/atrains/"
GIB = 2**30


def _sampled(world: World, peak: int) -> None:
    resources = {"cpu": 2.0, "memory": 4 * GIB}
    TaskExecution.objects.filter(pk=world.attempt.pk).update(resources=resources)
    points = [[5, 0.5, GIB, None], [10, 1.75, peak, None]]
    AttemptSamples.objects.create(
        attempt=world.attempt, points=points, peak_cpu=1.75, peak_memory=peak, cpu_seconds=11.25
    )


def test_it_shows_what_was_asked_for_beside_what_was_used_with_curves_and_tables(world: World, browse: Browse) -> None:
    _sampled(world, 3 * GIB)
    page = browse(world.viewer).get(RUN + "resources/").content.decode()
    assert '<span class="label">cpu over 10 s: at most 1.75 cores, asked for 2.00 cores</span>' in page
    assert '<span class="label">memory over 10 s: at most 3 GiB, asked for 4 GiB</span>' in page
    assert '<td class="nowrap">10 s</td><td class="num">3 GiB</td>' in page
    assert page.count('class="chart-bound"') == 2 and "chart-dot" not in page
    assert "1 of 2 attempts ended before they were looked at" in page
    assert "quarter" not in page and "close to" not in page


def test_it_says_who_asked_for_too_much_and_who_for_too_little(world: World, browse: Browse) -> None:
    _sampled(world, GIB // 2)
    client = browse(world.viewer)
    assert "used less than a quarter of the memory" in client.get(RUN + "resources/").content.decode()
    AttemptSamples.objects.update(peak_memory=int(3.9 * GIB))
    assert "close to its limit of memory" in client.get(RUN + "resources/").content.decode()


def test_nothing_measured_is_said(world: World, browse: Browse) -> None:
    assert "Nothing was measured" in browse(world.viewer).get(RUN + "resources/").content.decode()


def test_rest_gives_the_samples(world: World, browse: Browse) -> None:
    _sampled(world, GIB)
    address = "/api/v1/executions/demo/development/atrains/resources"
    (found,) = browse(world.viewer).get(address).json()["results"]
    assert (found["node"], found["peak_memory"], found["points"][1][1]) == ("n0", GIB, 1.75)
    assert browse(world.outsider).get(address).status_code == 404


def _error(message: str, code: str = "USER:KeyError") -> bytes:
    return execution_pb2.ExecutionError(
        code=code, message=message, kind=execution_pb2.ExecutionError.USER
    ).SerializeToString()


def test_failures_that_differ_in_numbers_alone_are_the_same() -> None:
    same = [Failure("X", "", f"item {n}: key '0x{n:04x}' of e3b0c44298fc{n}", "") for n in (1, 25)]
    assert likeness(same[0]) == likeness(same[1])
    assert likeness(same[0]) != likeness(Failure("Y", "", same[0].summary, ""))
    assert likeness(same[0]) != likeness(Failure("X", "", "item 1: another", ""))


def test_equal_failures_of_a_map_are_one_line_with_a_count(world: World, browse: Browse) -> None:
    node = make_node(world.failed, "n5", NodePhase.FAILED, kind=NodeKind.ARRAY)
    for index in range(7):
        message = f"KeyError: 'store {index}'" if index != 3 else "MemoryError"
        make_attempt(node, AttemptPhase.FAILED, index=index, name=f"m{index}", error=_error(message))
    page = browse(world.viewer).get("/executions/demo/development/afailed/").content.decode()
    assert "6 ×" in page and "n5[6]" in page and "and 3 more" in page
    assert page.index("6 ×") < page.index("MemoryError")


def test_a_single_failure_is_not_told_twice(world: World, browse: Browse) -> None:
    assert 'id="failures"' not in browse(world.viewer).get("/executions/demo/development/afailed/").content.decode()


def test_rows_without_an_error_are_in_no_group(world: World) -> None:
    assert grouped(Execution.objects.filter(error=None)) == []
    assert [group.count for group in grouped(Execution.objects.filter(phase=ExecutionPhase.FAILED))] == [1]
