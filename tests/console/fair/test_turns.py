"""Whose request is answered next, against what the rules promise."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from waitress.buffers import OverflowableBuffer
from waitress.receiver import FixedStreamReceiver

from console.fair import callers
from console.fair.pool import Calls, Pool
from console.fair.turns import A_FREE_ONE, FRESH, PATIENCE, Caller, Turn, Turns

STORM, PERSON = Caller("user 1", "storm"), Caller("user 2", "quiet")


class Machine:
    """One interpreter in simulated time: what is answered shares it, and takes its CPU time times how many share it."""

    STEP = 0.005

    def __init__(self, threads: int = 16) -> None:
        self.turns: Turns[float] = Turns(threads)
        self.now = 0.0
        self.left: dict[Turn[float], float] = {}
        self.took: dict[Caller, list[float]] = {}

    def ask(self, caller: Caller, seconds: float) -> None:
        self.turns.add(caller, seconds, self.now)

    def step(self) -> None:
        while turn := self.turns.next(self.now):
            self.left[turn] = turn.work
        share = self.STEP / len(self.left) if self.left else 0.0
        self.now += self.STEP
        for turn in list(self.left):
            self.left[turn] -= share
            if self.left[turn] <= 1e-9:
                del self.left[turn]
                self.turns.ended(turn, turn.work, self.now)
                self.took.setdefault(turn.caller, []).append(self.now - turn.asked_at)


@given(clients=st.integers(1, 100))
def test_a_storm_leaves_another_caller_as_fast_as_before(clients: int) -> None:
    machine = Machine()
    for tick in range(1500):
        outstanding = len(machine.turns) + len(machine.left)
        for _ in range(clients - outstanding):
            machine.ask(STORM, 0.03)
        if tick % 50 == 0 and tick > 200:
            machine.ask(PERSON, 0.03)
        machine.step()
    # What was under way when it came is still answered: a request of each of the storm's threads at most.
    assert max(machine.took[PERSON]) < 0.03 * (2 + min(clients, 12))
    assert sorted(machine.took[PERSON])[len(machine.took[PERSON]) // 2] <= 0.03 * (1 + min(clients, 12)) + 0.01


CALLERS = st.builds(Caller, st.sampled_from("abc"), st.sampled_from(["", "p", "q"]), st.sampled_from([1.0, 4.0]))


@given(
    threads=st.integers(1, 8), asked=st.lists(st.tuples(CALLERS, st.floats(0.001, 3), st.floats(0, 0.5)), max_size=40)
)
def test_everything_is_answered_once_and_nothing_idles(threads: int, asked: list[tuple[Caller, float, float]]) -> None:
    turns: Turns[int] = Turns(threads)
    now, ends, answered = 0.0, {}, Counter[int]()
    for number, (caller, _, pause) in enumerate(asked):
        turns.add(caller, number, now)
        until = now + pause
        while True:
            while turn := turns.next(now):
                assert len(turns.running) <= threads
                held = sum(one.caller[:2] == turn.caller[:2] for one in turns.running)
                assert held - 1 < A_FREE_ONE * (threads - len(turns.running) + 1)
                ends[turn] = now + asked[turn.work][1]
            last = number == len(asked) - 1
            times = [*ends.values(), *([at] if (at := turns.looks_again_at(now)) is not None else [])]
            if len(turns) and len(turns.running) < threads:
                assert times  # never idle for ever
                oldest = min(line[0].asked_at for line in turns._waiting.values())
                assert turns.running or now - oldest < PATIENCE
            if not times or (min(times) > until and not last):
                break
            now = max(now, min(times))
            for turn in [one for one, at in ends.items() if at <= now]:
                del ends[turn]
                answered[turn.work] += 1
                turns.ended(turn, 0.01, now)
        now = max(now, until)
    assert answered == Counter(range(len(asked)))
    assert not turns._held


@given(heavy=st.floats(0.1, 100), threads=st.integers(2, 16))
def test_the_heavier_caller_waits_while_the_lighter_is_answered_but_not_for_long(heavy: float, threads: int) -> None:
    turns: Turns[str] = Turns(threads)
    turns.add(STORM, "before", 0.0)
    before = turns.next(0.0)
    assert before is not None
    turns.ended(before, heavy, 0.0)
    turns.add(STORM, "storm", 0.0)
    turns.add(PERSON, "person", 0.0)
    first = turns.next(0.0)
    assert first is not None and first.work == "person"
    assert turns.next(FRESH / 2) is None
    assert turns.looks_again_at(FRESH / 2) == FRESH
    second = turns.next(FRESH)
    assert second is not None and second.work == "storm"


def test_of_one_caller_the_project_that_used_less_comes_first() -> None:
    turns: Turns[str] = Turns(2)
    turns.add(STORM, "before", 0.0)
    before = turns.next(0.0)
    assert before is not None
    turns.ended(before, 1.0, 0.0)
    turns.add(STORM, "storm", 0.0)
    turns.add(STORM._replace(project="quiet"), "quiet", 0.0)
    found = turns.next(0.0)
    assert found is not None and found.work == "quiet"


def test_threads_answer_others_while_one_caller_sleeps_in_all_that_he_may_have() -> None:
    pool, woken = Pool(8, "test"), threading.Event()
    for _ in range(50):
        pool.add(STORM, lambda: woken.wait(20))
    answered = threading.Event()
    pool.add(PERSON, answered.set)
    assert answered.wait(10)
    woken.set()


def test_a_pool_of_calls_answers_and_tells_what_was_raised() -> None:
    calls = Calls(Pool(2, "test"), lambda given: Caller(str(given[0])))
    assert [calls.submit(abs, number).result(10) for number in (-1, 2)] == [1, 2]
    assert isinstance(calls.submit(int, "x").exception(10), ValueError)


def test_threads_end_with_their_pool_once_all_is_answered() -> None:
    calls = Calls(Pool(2, "ending"), lambda given: Caller(str(given[0])))
    woken = threading.Event()
    answers = [calls.submit(woken.wait, 20) for _ in range(5)]
    del calls
    woken.set()
    assert all(each.result(10) for each in answers)
    mine = [each for each in threading.enumerate() if each.name.startswith("ending-")]
    for each in mine:
        each.join(10)
    assert not any(each.is_alive() for each in mine)


def _request(path: str, query: str = "", body: bytes = b"", **headers: str) -> SimpleNamespace:
    buffer = OverflowableBuffer(1000)
    buffer.append(body)
    receiver = FixedStreamReceiver(0, buffer) if body else None
    return SimpleNamespace(error=None, path=path, query=query, headers=headers, body_rcv=receiver)


def test_a_credential_counts_as_its_user_once_it_was_found_right() -> None:
    token = f"cwy_{time.monotonic()}"
    asks = _request("/api/v1/me", AUTHORIZATION=f"Bearer {token}")
    assert callers.of_request(asks, "192.0.2.1").who == "address 192.0.2.1"
    callers.remember(token, 7)
    assert callers.of_request(asks, "192.0.2.1").who == "user 7"
    assert callers.of_metadata([("flyte-authorization", f"Bearer {token}")]).who == "user 7"
    cookie = callers.of_request(_request("/", COOKIE=f"a=b; sessionid={token}"), "192.0.2.1")
    assert (cookie.who, cookie.share) == ("user 7", callers.PERSON)


def test_projects_are_told_from_query_body_and_path() -> None:
    named = callers.of_request(_request("/executions/", "state=x&project=some%2Dproject"), "")
    assert named.project == "some-project"
    body = _request("/api/v1/executions", body=b'{"name": "x", "project": "storm"}', CONTENT_TYPE="application/json")
    assert callers.of_request(body, "").project == "storm"
    assert body.body_rcv.getbuf().get().startswith(b'{"name')  # nothing is taken from it
    assert callers.of_request(_request("/api/v1/executions/demo/development/x"), "").project == "demo"
    assert callers.of_request(_request("/quotas/"), "").project == ""
