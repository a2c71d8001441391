"""The rules of approving, on plain values: a small model says what is right, whatever order things come in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.exceptions import InvalidArgument
from scheduler.approving.rules import (
    Mandate,
    Outcome,
    Rule,
    Seats,
    Vote,
    acting_for,
    check_delegation,
    check_rule,
    difference,
    seat_for,
    tally,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
PEOPLE = st.sampled_from("abcdef")
VOTES = st.lists(st.builds(Vote, PEOPLE, PEOPLE, st.booleans(), st.sampled_from(["now", "before"])), max_size=8)


def mandate(giver: str, to: str, hours: int = 1, start: int = 0) -> Mandate:
    return Mandate(giver, to, NOW + start * HOUR, NOW + (start + hours) * HOUR)


@given(VOTES, st.integers(1, 4), st.integers(1, 3))
def test_votes_come_to_what_as_many_different_people_and_seats_say_of_what_is_there_now(
    votes: list[Vote], quorum: int, rejections: int
) -> None:
    outcome = tally(Rule(quorum=quorum, rejections=rejections), votes, digest="now")
    counting = [vote for vote in votes if vote.digest == "now"]
    for approve, needed, reached in ((True, quorum, Outcome.APPROVED), (False, rejections, Outcome.REJECTED)):
        same = [vote for vote in counting if vote.approve is approve]
        most = min(len({vote.actor for vote in same}), len({vote.acting_for for vote in same}))
        if outcome is reached:
            assert most >= needed
    if not counting:
        assert outcome is Outcome.PENDING


def test_a_quorum_takes_as_many_people_and_one_rejection_ends_it() -> None:
    rule = Rule(quorum=2)
    yes, other, no = (Vote("a", "a", True, "d"), Vote("b", "b", True, "d"), Vote("c", "c", False, "d"))
    assert tally(rule, [yes], digest="d") is Outcome.PENDING
    assert tally(rule, [yes, other], digest="d") is Outcome.APPROVED
    assert tally(rule, [yes, no], digest="d") is Outcome.REJECTED
    assert tally(Rule(quorum=2, rejections=2), [yes, no, other], digest="d") is Outcome.APPROVED
    assert tally(rule, [yes, other], digest="changed") is Outcome.PENDING
    assert tally(rule, [yes, Vote("a", "b", True, "d")], digest="d") is Outcome.PENDING  # a, twice


@given(st.lists(st.tuples(PEOPLE, PEOPLE), max_size=8))
def test_no_delegations_that_were_let_in_ever_go_round(pairs: list[tuple[str, str]]) -> None:
    held: list[Mandate] = []
    for giver, to in pairs:
        new = mandate(giver, to)
        try:
            check_delegation(new, held, now=NOW)
        except InvalidArgument:
            # it was right to refuse: the giver acts, in the end, for whom he would delegate to
            assert giver == to or to in acting_for(giver, held, at=NOW)
            continue
        held.append(new)
        assert giver not in acting_for(giver, [one for one in held if one.to != giver], at=NOW)[1:]
    for one in held:
        assert one.to not in acting_for(one.giver, held, at=NOW)


def test_a_circle_is_named_and_those_that_never_meet_are_none() -> None:
    held = [mandate("a", "b"), mandate("b", "c")]
    with pytest.raises(InvalidArgument, match="c -> a -> b -> c"):
        check_delegation(mandate("c", "a"), held, now=NOW)
    check_delegation(mandate("c", "a", start=2), held, now=NOW)  # the others have ended by then


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (mandate("a", "a"), "same person"),
        (mandate("a", "b", hours=-2), "ends after it starts"),
        (mandate("a", "b", hours=24 * 400), "366 days at most"),
    ],
)
def test_a_delegation_to_oneself_or_without_an_end_is_refused(wrong: Mandate, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_delegation(wrong, [], now=NOW)


def test_who_acts_for_whom_ends_with_the_delegation() -> None:
    held = [mandate("a", "b"), mandate("b", "c", hours=2)]
    assert acting_for("c", held, at=NOW) == ["c", "b", "a"]
    assert acting_for("c", held, at=NOW + HOUR) == ["c", "b"]
    assert acting_for("c", held, at=NOW + 2 * HOUR) == ["c"]


def test_an_author_has_no_seat_neither_his_own_nor_by_somebody_else() -> None:
    seats = Seats(frozenset("ab"), authors=frozenset("a"))
    assert seat_for("a", ["a", "b"], seats, Rule()) == ""
    assert seat_for("c", ["c", "a"], seats, Rule()) == ""
    assert seat_for("c", ["c", "a", "b"], seats, Rule()) == "b"
    assert seat_for("a", ["a"], seats, Rule(author_may=True)) == "a"
    assert seat_for("b", ["b"], Seats(frozenset("ab"), voted=frozenset("b")), Rule()) == ""


KNOWN, GROUPS = frozenset("abc"), {"board": ["a", "b"]}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(people=frozenset("x")), "no active user 'x'"),
        (Rule(groups=frozenset({"bord"})), r"no group 'bord' in this project; there are: board"),
        (Rule(groups=frozenset({"board"}), quorum=3), r"quorum: 3 is more than may decide, who are 2 \(a, b\)"),
        (Rule(people=frozenset("a"), groups=frozenset({"board"}), quorum=3), "who are 2"),  # a, once
        (Rule(people=frozenset("a"), rejections=2), "rejections: 2 is more"),
        (Rule(), "names nobody"),
        (Rule(role="boss"), "there are: contributor, approver, admin"),
        (Rule(people=frozenset("a"), quorum=0), "at least 1"),
        (Rule(people=frozenset("a"), escalate_before=HOUR), "go together"),
        (Rule(people=frozenset("a"), escalate_to=frozenset({"group:x"}), escalate_before=HOUR), "no group 'x'"),
        (Rule(people=frozenset("a"), escalate_to=frozenset("b"), escalate_before=-HOUR), "more than nothing"),
    ],
)
def test_a_rule_that_nobody_could_fulfil_is_refused(rule: Rule, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        check_rule(rule, known=KNOWN, groups=GROUPS, of_role=0)


def test_a_role_counts_those_who_have_it() -> None:
    check_rule(Rule(role="approver", quorum=2), known=KNOWN, groups=GROUPS, of_role=2)
    with pytest.raises(InvalidArgument, match="at most 2 is allowed"):
        check_rule(Rule(role="approver", quorum=3), known=KNOWN, groups=GROUPS, of_role=2)


def test_what_changed_is_named_also_what_came_and_went() -> None:
    assert str(difference({"deck of n0": 1, "card": 2}, {"deck of n0": 3, "card": 2})) == "deck of n0 changed since"
    assert difference({"a": 1}, {}).changed == ["a"] and difference({}, {"a": 1}).changed == ["a"]
    assert not difference({"a": {"b": [1]}}, {"a": {"b": [1]}})


def test_the_order_of_votes_does_not_matter_without_rejections() -> None:
    votes = [Vote(name, name, True, "d") for name in "abc"]
    assert {tally(Rule(quorum=3), order, digest="d") for order in permutations(votes)} == {Outcome.APPROVED}
