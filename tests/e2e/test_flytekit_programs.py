"""Programs as flytekit's users write them, each launched by name and compared by its outputs as Python values.

They are launched together, before the first is waited for: one after the other they would take minutes.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flytekit import StructuredDataset
from flytekit.remote import FlyteWorkflowExecution

from tests.e2e.flytekit_user import PROGRAMS, FlytekitUser

pytestmark = pytest.mark.e2e

OUTPUTS: dict[str, tuple[Any, ...]] = {
    "values.scalars_wf": (
        3,
        3.0,
        "héllo ☃ü",
        False,
        datetime(2026, 1, 2, 1, tzinfo=timezone.utc),
        timedelta(hours=2),
    ),
    "values.containers_wf": ([2, 1], {"A": 1.5}, [{"q": ["r"]}, {"z": []}]),
    "values.optional_wf": (None, 5, "int"),
    "values.pickle_wf": (3, {"got": 3}),
    "values.named_wf": (1, "two"),
    "values.named2_wf": (4, "4"),
    "values.none_wf": (),
    "values.dict_wf": ({"a": 1, "b": [1.5, "x"], "more": [1, {"x": None}]},),
    "values.large_wf": (3000,),
    "values.schema_wf": (3,),
    "values.many_wf": (1057,),
    "values.promises_wf": ([3, 4, 7], {"a": 3, "b": 4}),
    "values.with_files_wf": ("in a dataclass;x;[1]", "in a dataclass"),
    "values.csv_wf": (2,),
    "values.pickles_wf": ({"size": 3},),
    "pack.flows.relative_wf": (42,),
    "flows.nested_wf": (15, 48),
    "flows.branch_wf": ("small",),
    "flows.branch_bool_wf": (26,),
    "flows.branch_bool_in_wf": (2,),
    "flows.branch_nested_wf": (6,),
    "flows.branch_sub_wf": (24,),
    "flows.branch_string_wf": ("went",),
    "flows.branch_none_wf": ("none",),
    "flows.branch_void_wf": (),
    "flows.dyn_branch_wf": ("odd",),
    "flows.map_wf": ([2, 4, 6],),
    "flows.map_partial_wf": ([11, 12, 13],),
    "flows.map_ratio_wf": ([1, None, 3, 4],),
    "flows.map_points_wf": ([0.0, 1.0, 2.0, 3.0], 6.0),
    "flows.map_empty_wf": ([],),
    "flows.map_void_wf": (),
    "flows.map_of_map_wf": ([2, 8],),
    "flows.map_resources_wf": ([2, 4],),
    "flows.map_two_lists_wf": ([11, 22],),
    "flows.dyn_wf": ([0, 2, 4],),
    "flows.dyn_deep_wf": (27,),
    "flows.fib_wf": (3,),
    "flows.dyn_nothing_wf": (),
    "flows.dyn_constant_wf": (7,),
    "flows.chain_wf": (4,),
    "flows.retry_wf": (3,),
    "flows.checkpoint_wf": (2,),
    "flows.env_wf": ("ahoy ☃",),
    "flows.image_wf": (1,),
    "flows.lp_node_wf": (8, 24),
    "flows.overrides_wf": (4,),
    "more.decorated_wf": (2,),
    "more.literal_wf": ("slow", date(2026, 3, 1)),
    "more.settings_wf": ("0.5 [1, 2] fast",),
    "more.branch_attribute_wf": ("fast",),
    "more.branch_two_outputs_wf": (9, 6),
    "more.optional_chain_wf": ("None None", "some 2"),
    "more.map_plan_wf": ([3, 8, 15],),
    "more.map_retry_wf": ([1, 2, 3],),
    "more.map_wide_wf": (3540,),
    "more.map_bound_wf": ([2.5, 5.0],),
    "more.stream_wf": ("streamed",),
    "more.tree_wf": (["a.txt"],),
    "more.lines_wf": (3,),
    "more.new_cache_wf": (2,),
    "more.pod_wf": (101,),
    "more.interruptible_wf": (2,),
    "more.dyn_sub_wf": (11,),
    "more.decks_wf": (1,),
    "more.mixed_bindings_wf": (11,),
    "more.unions_wf": ("int", "str", "Settings"),
    "more.same_output_wf": (4, 4, [4, 4], {"a": 4}),
    "more.prints_much_wf": (2000,),
    "maps.maps_overridden_wf": ([1, 2, 3],),
    "maps.maps_nested_wf": ([1, 3, 18],),
    "maps.maps_fixed_wf": ([10, 21, 33],),
    "maps.maps_some_plans_wf": ([1, None, 3],),
    "maps.maps_missing_wf": (2,),
    "maps.maps_empty_plans_wf": ([],),
    "maps.maps_empty_partial_wf": ([], 0),
    "maps.maps_files_wf": (["ain7", "bout7"],),
    "maps.maps_frames_wf": ([1, 3],),
    "maps.maps_typed_wf": (["red 2026 0 None", "blue 2027 2 4"],),
    "maps.maps_paths_wf": ([0, 2, 4], [6, 6], [12, 4], 4),
    "maps.maps_dynamic_wf": (22,),
    "maps.maps_branch_wf": ([2, 4],),
    "maps.maps_chained_wf": ([2, 3],),
    "maps.maps_shell_wf": ("hi! ho!",),
    "extras.eager_wf": (8,),
    "extras.eager_sub_wf": (30,),
    "extras.eager_map_wf": ([2, 3, 4],),
    "extras.shell_wf": ("hello sea",),
    "extras.raw_wf": (6,),
}
INPUTS: dict[str, dict[str, Any]] = {
    "values.containers_wf": {"xs": [1, 2], "m": {"a": 1.5}, "nested": [{"q": ["r"]}]},
    "values.many_wf": {"a": 1},
    "extras.eager_wf": {"x": 3},
    "extras.eager_sub_wf": {"x": 3},
    "extras.eager_map_wf": {"xs": [1, 2, 3]},
}
ERRORS: dict[str, tuple[str, ...]] = {
    "flows.dyn_fail_wf": ("ValueError: while building", 'File "isles/flows.py"'),
    "flows.error_wf": ("KeyError: 'missing'", "in helper\n"),
    "flows.exhausted_wf": ("[2/2] currentAttempt done", "never works"),
    "flows.gate_timeout_wf": ("did not end within",),
    "flows.exit_wf": ("exit code 3",),
    "flows.sysexit_wf": ("exit code 2",),
    "flows.lp_fail_wf": ("child execution", "ValueError: broken by 2"),
    "flows.map_fail_wf": ("[1]", "two is bad"),
    "flows.on_failure_wf": ("ValueError: broken by 1",),
    "flows.policy_wf": ("ValueError: broken by 1",),
    "maps.maps_timeout_wf": ("[1]", "longer than its timeout of 2 s"),
    "maps.maps_all_plans_wf": ("1 of 3 items failed", "child execution", "-2 is below zero"),
    "more.failing_sub_wf": ("in the sub-workflow",),
    "flows.secret_wf": ("Unable to find secret for key key in group vault",),
    "flows.timeout_wf": ("longer than its timeout of 2 s",),
    "flows.wrong_return_wf": ("Expected value of type <class 'int'> but got 'text'",),
}
OTHERS = (
    "values.enums_wf",
    "values.data_wf",
    "values.pydantic_wf",
    "values.file_wf",
    "values.dir_wf",
    "values.frame_wf",
    "values.numpy_wf",
    "values.large_out_wf",
    "values.list_of_data_wf",
    "flows.context_wf",
    "more.map_files_wf",
    "more.hash_wf",
    "more.dyn_dataclass_wf",
)

Runs = dict[str, FlyteWorkflowExecution]


@pytest.fixture(scope="module")
def runs(user: FlytekitUser) -> Runs:
    from isles import values

    given = {**INPUTS, "values.data_wf": {"o": values.Outer(maybe=1.5)}}
    return {path: user.launch(f"isles.{path}", given.get(path)) for path in (*OUTPUTS, *ERRORS, *OTHERS)}


@pytest.mark.parametrize("path", OUTPUTS)
def test_it_gives_the_outputs_the_program_computes(user: FlytekitUser, runs: Runs, path: str) -> None:
    assert user.outputs(f"isles.{path}", runs[path]) == OUTPUTS[path]


@pytest.mark.parametrize("path", ERRORS)
def test_it_fails_with_what_the_user_needs_to_know(user: FlytekitUser, runs: Runs, path: str) -> None:
    message = user.error(runs[path]).message
    assert all(words in message for words in ERRORS[path]), message


def test_it_returns_enums(user: FlytekitUser, runs: Runs) -> None:
    from isles import values

    assert user.outputs("isles.values.enums_wf", runs["values.enums_wf"]) == (values.Colour.BLUE,)


def test_it_returns_dataclasses_and_reaches_into_them(user: FlytekitUser, runs: Runs) -> None:
    from isles import values

    outer = values.Outer(inner=values.Inner(a=2), by_key={"k": values.Inner(a=9)}, maybe=1.5)
    assert user.outputs("isles.values.data_wf", runs["values.data_wf"]) == (outer, 11, "2:x", "x")


def test_it_returns_pydantic_models(user: FlytekitUser, runs: Runs) -> None:
    from isles import values

    tree = values.Tree(leaves=[values.Leaf(weight=2.5)])
    assert user.outputs("isles.values.pydantic_wf", runs["values.pydantic_wf"]) == (tree, 5.0)


def test_it_returns_dicts_of_dataclasses(user: FlytekitUser, runs: Runs) -> None:
    from isles import values

    expected = {"0": values.Inner(a=3), "1": values.Inner(a=4)}
    assert user.outputs("isles.values.list_of_data_wf", runs["values.list_of_data_wf"]) == (expected, 7)


def test_it_returns_files(user: FlytekitUser, runs: Runs) -> None:
    file, text, typed = user.outputs("isles.values.file_wf", runs["values.file_wf"])
    with open(file, encoding="utf-8") as opened, open(typed) as second:
        assert (opened.read(), text, second.read()) == ("conténu", "conténu", "typed")


def test_it_returns_directories(user: FlytekitUser, runs: Runs) -> None:
    directory, names = user.outputs("isles.values.dir_wf", runs["values.dir_wf"])
    assert names == ["a.txt", "sub/b.txt"]
    assert sorted(item.name for item in Path(directory.download()).iterdir()) == ["a.txt", "sub"]


def test_it_returns_frames_and_structured_datasets(user: FlytekitUser, runs: Runs) -> None:
    frame, total, dataset, columns = user.outputs("isles.values.frame_wf", runs["values.frame_wf"])
    assert isinstance(frame, pd.DataFrame) and list(frame["a"]) == [1, 2, 3]
    assert isinstance(dataset, StructuredDataset) and len(dataset.open(pd.DataFrame).all()) == 3
    assert (total, columns) == (6, ["a"])


def test_it_returns_arrays(user: FlytekitUser, runs: Runs) -> None:
    array, total = user.outputs("isles.values.numpy_wf", runs["values.numpy_wf"])
    assert np.array_equal(array, np.arange(5)) and total == 10


def test_it_returns_outputs_larger_than_a_message_may_be(user: FlytekitUser, runs: Runs) -> None:
    (texts,) = user.outputs("isles.values.large_out_wf", runs["values.large_out_wf"])
    assert len(texts) == 12_000 and texts[-1] == f"{11_999:01000d}"


def test_it_collects_files_of_a_map(user: FlytekitUser, runs: Runs) -> None:
    joined, files = user.outputs("isles.more.map_files_wf", runs["more.map_files_wf"])
    assert joined == "file 1,file 2"
    assert [Path(file).read_text() for file in files] == ["file 1", "file 2"]


def test_it_reuses_results_for_equal_hashes(user: FlytekitUser, runs: Runs) -> None:
    first, second = user.outputs("isles.more.hash_wf", runs["more.hash_wf"])
    assert first == second


def test_it_returns_collections_made_by_a_dynamic_task(user: FlytekitUser, runs: Runs) -> None:
    from isles import more

    made, doubled = user.outputs("isles.more.dyn_dataclass_wf", runs["more.dyn_dataclass_wf"])
    assert made == [more.Settings(rate=0.0, layers=[7, 8]), more.Settings(rate=1.0, layers=[7, 8])]
    assert doubled == {"0": 0, "1": 2}


def test_it_tells_a_task_who_it_is(user: FlytekitUser, runs: Runs) -> None:
    run = runs["flows.context_wf"]
    (told,) = user.outputs("isles.flows.context_wf", run)
    assert told == ["flytesnacks", "development", run.id.name, "isles.flows.context", "v1", "UTC"]


def test_it_runs_every_workflow_that_the_programs_contain() -> None:
    """A new program needs a line above; those with people in them have tests of their own."""
    apart = {"gates_wf", "signals_wf", "rejected_wf", "sleeper_wf", "recover_wf", "cache_wf", "cache_ignore_wf"}
    apart |= {
        "gated_sub_wf",
        "cache_serial_wf",
        "deck_wf",
        "log_wf",
        "killed_wf",
        "secret2_wf",
        "file_in_wf",
        "reference_wf",
    }
    written = {
        line.partition("def ")[2].partition("(")[0]
        for path in (PROGRAMS / "isles").rglob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("def ", "async def ")) and line.partition("(")[0].endswith("_wf")
    }
    known = {path.rpartition(".")[2] for path in (*OUTPUTS, *ERRORS, *OTHERS)}
    assert written == known | (apart & written)
