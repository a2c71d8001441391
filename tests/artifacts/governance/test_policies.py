from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from artifacts.governance.policies import (
    DAYS,
    Candidate,
    CheckFact,
    Policy,
    Quiet,
    circumstances,
    failing,
    kept_policy,
    merits,
    quiet_until,
    read_policy,
)


def read(given: Any) -> Any:
    return read_policy(given, checks=["good", "fair"], partition_keys=["region"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"checks": ["good", "best"]}, "the artifact has no check best; its checks: fair, good"),
        ({"checks": "good"}, "'checks' must be a list of texts"),
        ({"partitions": {"day": "1"}}, "the artifact has no partition day; its partitions: region"),
        ({"approvals": "two"}, "'approvals' must be a whole number from 0 to 20, not 'two'"),
        ({"approvals": 1.5}, "a whole number"),
        ({"approvals": True}, "a whole number"),
        ({"approvals": -1}, "a whole number"),
        ({"approvals": 3, "approvers": ["ada", "bob"]}, "a quorum cannot be larger than its group"),
        ({"approvers": ["ada"]}, "says how many of them"),
        ({"approvals": 1, "approvers": ["ada", "ada"]}, "without repetitions"),
        ({"role": "boss"}, "'role' must be one of approver, admin"),
        ({"fall_back": True}, "name some in 'checks'"),
        ({"automatic": True}, "name 'checks', or 'approvals'"),
        ({"fall_back": "yes", "checks": ["good"]}, "'fall_back' must be true or false"),
        ({"quiet": {"begin": "22:00"}}, "'quiet' must be a list of objects"),
        ({"quiet": [{"begin": "22:00"}]}, "'end' must be a text"),
        ({"quiet": [{"begin": "late", "end": "06:00"}]}, "a time of day like 22:00, not 'late'"),
        ({"quiet": [{"begin": "22:00", "end": "22:00"}]}, "are none, or all"),
        ({"quiet": [{"begin": "22:00", "end": "06:00", "days": ["someday"]}]}, "there is no day someday"),
        ({"quiet": [{"begin": "22:00", "end": "06:00", "timezone": "Mars/Base"}]}, "there is no time zone 'Mars/Base'"),
        ({"quiet": [{"begin": "22:00", "end": "06:00", "why": "sleep"}]}, "quiet hours has why"),
        ({"cheks": ["good"]}, "a policy has cheks; known are: approvals"),
        ([], "must be an object"),
    ],
)
def test_it_refuses_policies(given: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read(given)
    assert said in refused.value.message


def test_what_is_kept_is_read_as_it_was() -> None:
    policy = read(
        {
            "checks": ["good"],
            "approvals": 2,
            "approvers": ["ada", "bob"],
            "quiet": [{"begin": "22:00", "end": "06:00", "days": ["fri"], "timezone": "Europe/Berlin"}],
            "partitions": {"region": "SEA"},
            "fall_back": True,
        }
    )
    assert kept_policy(policy.as_json()) == policy


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({}, "check good did not judge it"),
        ({"good": CheckFact("pending", "nobody reported yet")}, "check good is pending: nobody reported yet"),
        ({"good": CheckFact("failed", "auc is 0.5", {"value": 0.5})}, "check good failed: auc is 0.5"),
    ],
)
def test_a_check_must_have_passed(checks: dict[str, CheckFact], said: str) -> None:
    [clause] = failing(merits(read({"checks": ["good"]}), Candidate(checks=checks)))
    assert (clause.name, clause.said) == ("check:good", said)


@pytest.mark.parametrize(
    ("approved_by", "holds"),
    [(("bob", "eve"), True), (("bob",), False), (("ada", "bob"), False), (("bob", "zoe"), False)],
)
def test_the_author_and_strangers_do_not_count(approved_by: tuple[str, ...], holds: bool) -> None:
    policy = read({"approvals": 2, "approvers": ["ada", "bob", "eve"]})
    [clause] = merits(policy, Candidate(approved_by=approved_by, author="ada"))
    assert clause.holds is holds
    assert clause.numbers["asked"] == 2


def test_what_is_quarantined_or_elsewhere_satisfies_nothing() -> None:
    policy = read({"partitions": {"region": "SEA"}})
    found = failing(merits(policy, Candidate({"region": "EU"}, is_quarantined=True, is_removed=True)))
    assert [clause.name for clause in found] == ["removed", "quarantine", "partition:region"]


@pytest.mark.parametrize(
    ("utc", "quiet"),
    [
        ("2026-05-22T19:59", False),  # Friday 21:59 in Berlin
        ("2026-05-22T20:00", True),
        ("2026-05-23T03:59", True),  # the night that began on Friday
        ("2026-05-23T04:00", False),
        ("2026-05-23T21:00", False),  # Saturday's
        ("2026-11-27T20:59", False),  # in winter it is an hour later
        ("2026-11-27T21:00", True),
    ],
)
def test_quiet_hours_are_those_of_their_time_zone(utc: str, quiet: bool) -> None:
    moment = datetime.fromisoformat(utc).replace(tzinfo=timezone.utc)
    assert Quiet("22:00", "06:00", ("fri",), "Europe/Berlin").holds(moment) is quiet


@given(
    minutes=st.integers(0, 2 * 365 * 24 * 60),
    begin=st.integers(0, 23),
    length=st.integers(1, 23),
    days=st.lists(st.sampled_from(DAYS), unique=True),
)
def test_quiet_hours_end_when_they_do_not_hold_any_more(minutes: int, begin: int, length: int, days: list[str]) -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=minutes)
    end = (begin + length) % 24
    quiet = Quiet(f"{begin:02}:00", f"{end:02}:00", tuple(days), "Europe/Berlin")
    policy = Policy(quiet=(quiet,))
    ends = quiet_until(policy, moment)
    assert (ends is not None) is quiet.holds(moment)
    if ends is not None:
        assert moment < ends <= moment + timedelta(hours=25)
        assert not quiet.holds(ends)
        assert quiet.holds(moment + (ends - moment) * 0.999)


def test_quiet_hours_of_a_day() -> None:
    moment = datetime(2026, 5, 22, 12, tzinfo=timezone.utc)
    assert Quiet("12:00", "13:00").holds(moment)
    assert not Quiet("12:00", "13:00").holds(moment.replace(hour=13))


def test_by_hand_it_takes_the_role() -> None:
    policy, now = read({"role": "admin"}), datetime(2026, 5, 22, tzinfo=timezone.utc)
    assert failing(circumstances(policy, by_hand=True, roles=("approver",), now=now))
    assert not failing(circumstances(policy, by_hand=True, roles=("approver", "admin"), now=now))
    assert not circumstances(policy, by_hand=False, roles=(), now=now)
