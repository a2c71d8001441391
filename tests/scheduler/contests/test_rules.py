"""Who leads: any order in which models come, beside the plainest model of it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.contests.rules import Claim, Entry, Model, Standing, best_of, outranks, winner
from tests.artifacts.publishing import START

VALUES = st.one_of(st.none(), st.sampled_from([0.1, 0.5, 0.5000001, 0.9]))
CLAIMS = st.builds(
    Claim, st.tuples(st.integers(0, 2).map(lambda minute: START + timedelta(minutes=minute)), st.integers(0, 1)), VALUES
)
MODELS = st.lists(
    st.builds(
        lambda number, value, failing, gone: (number, value, failing, gone),
        st.integers(0, 5),
        VALUES,
        st.sampled_from([(), ("check good failed",)]),
        st.booleans(),
    ),
    max_size=8,
)


@given(st.lists(CLAIMS, min_size=1, max_size=8), st.sampled_from(["more", "less"]))
def test_in_whatever_order_models_come_the_best_of_the_newest_dataset_ends_as_champion(
    claims: list[Claim], better: str
) -> None:
    champion = claims[0]
    for claim in claims[1:]:
        if outranks(claim, champion, better):
            champion = claim
    measured = [one for one in claims if one.value is not None]
    if measured and any(one.value is not None for one in claims[1:]):
        newest = max(one.trained_on for one in measured)
        if claims[0].value is not None or claims[0].trained_on <= newest:
            values = [one.value for one in measured if one.trained_on == newest and one.value is not None]
            assert champion.trained_on == newest
            assert champion.value == (max if better == "more" else min)(values)


@given(CLAIMS, CLAIMS, st.sampled_from(["more", "less"]))
def test_no_two_take_each_others_place(one: Claim, other: Claim, better: str) -> None:
    assert not (outranks(one, other, better) and outranks(other, one, better))
    assert not outranks(one, one, better)


def test_what_a_person_chose_stands_until_the_next_dataset() -> None:
    now = (START, 1)
    chosen = Claim(now, 0.5, by_hand=True)
    assert not outranks(Claim(now, 0.9), chosen, "more")
    assert outranks(Claim((START + timedelta(days=1), 2), 0.4), chosen, "more")


@given(MODELS, st.sampled_from(["more", "less"]))
def test_the_winner_is_the_best_that_the_policy_allows(drawn: list[tuple], better: str) -> None:  # type: ignore[type-arg]
    models = [
        Model(pk, f"v{pk}", START + timedelta(minutes=minute), value, failing, gone)
        for pk, (minute, value, failing, gone) in enumerate(drawn)
    ]
    entries = [Entry(f"m{model.version_id}", Standing.SCORED, model=model) for model in models]
    allowed = [one for one in models if one.value is not None and not one.failing and not one.is_gone]
    found = winner([*entries, Entry("late", Standing.RUNNING)], better)
    if not allowed:
        assert found is None
        return
    assert found is not None and found.model is not None
    best = (max if better == "more" else min)(one.value for one in allowed if one.value is not None)
    assert found.model.value == best
    assert found.model.at == min(one.at for one in allowed if one.value == best)


def test_without_values_the_newest_is_shown() -> None:
    models = [Model(pk, f"v{pk}", START + timedelta(minutes=pk)) for pk in range(3)]
    assert best_of(models, "more") == models[2]
    assert best_of([], "more") is None
