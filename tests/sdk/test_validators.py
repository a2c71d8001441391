"""What validators say while a task runs. They are shaped like the plug-ins of flytekit 1.16.31, pandera 0.35, Great
Expectations 0.18 and WhyLogs 1.6, of which tests/e2e/test_labs.py and test_frameworks.py run the real ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any

import causeway.types  # noqa: F401 - listens
import pandas
import pytest
from causeway import Check, reports, validators
from flytekit import Artifact, FlyteContextManager, task
from flytekit.core.context_manager import ExecutionState, OutputMetadataTracker
from flytekit.core.type_engine import TypeEngine, TypeTransformer
from flytekit.models.literals import Literal, LiteralMap, Primitive, Scalar
from flytekit.models.types import LiteralType, SimpleType

Catches = Artifact(name="catches")


class Catch:
    """A frame of one column, `fish`, of which at most 100 are caught."""

    def __init__(self, fish: list[float]) -> None:
        self.fish = fish

    def __len__(self) -> int:
        return len(self.fish)


class SchemaErrors(Exception):
    def __init__(self, cases: list[dict[str, Any]]) -> None:
        super().__init__({"DATA": cases})
        self.failure_cases = pandas.DataFrame(cases, columns=["column", "check", "failure_case", "index"])


class PandasReportRenderer:
    def to_html(self, data: Any, schema: Any, error: Any = None) -> str:
        return "<p>pandera</p>"


class PanderaPandasTransformer(TypeTransformer[Catch]):  # type: ignore[misc]
    on_error = "raise"

    def __init__(self) -> None:
        super().__init__("Catch", Catch)

    def _get_pandera_schema(self, python_type: Any) -> Any:
        return SimpleNamespace(name="Catch of fish"), SimpleNamespace(on_error=self.on_error)

    def get_literal_type(self, t: Any) -> LiteralType:
        return LiteralType(simple=SimpleType.STRING)

    def _validate(self, value: Catch) -> None:
        over = [one for one in value.fish if not one <= 100]
        cases = [{"column": "fish", "check": "at_most(100)", "failure_case": one, "index": 0} for one in over]
        errors = SchemaErrors(cases) if cases else None
        PandasReportRenderer().to_html(value, self._get_pandera_schema(Catch)[0], errors)
        if errors is not None and self.on_error == "raise":
            raise errors

    def to_literal(self, ctx: Any, python_val: Any, python_type: Any, expected: Any) -> Literal:
        self._validate(python_val)
        return Literal(scalar=Scalar(primitive=Primitive(string_value=json.dumps(python_val.fish))))

    def to_python_value(self, ctx: Any, lv: Literal, expected_python_type: Any) -> Catch:
        found = Catch(json.loads(lv.scalar.primitive.string_value))
        self._validate(found)
        return found


TypeEngine.register(PanderaPandasTransformer())


class WhylogsConstraintsRenderer:
    @staticmethod
    def to_html(constraints: Any) -> str:
        return "<p>whylogs</p>"


class Checkpoint:
    def run(self, met: bool) -> Any:
        expectation = {
            "success": met,
            "expectation_config": {"expectation_type": "expect_column_max_to_be", "kwargs": {"column": "fish"}},
            "result": {"observed_value": 101},
        }
        told = {"success": met, "meta": {"expectation_suite_name": "catch"}, "results": [expectation]}
        one = SimpleNamespace(to_json_dict=lambda: told)
        return SimpleNamespace(list_validation_results=lambda: [one])


class GreatExpectationsTask:
    def execute(self, **inputs: Any) -> Any:
        return Checkpoint().run(inputs["dataset"] != "bad")


@pytest.fixture(scope="module", autouse=True)
def plugins() -> Iterator[None]:
    library, checkpoints = ModuleType("great_expectations"), ModuleType("great_expectations.checkpoint")
    checkpoints.Checkpoint = Checkpoint  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "great_expectations", library)
        patch.setitem(sys.modules, "great_expectations.checkpoint", checkpoints)
        transformers = {"PanderaPandasTransformer": PanderaPandasTransformer}
        validators.take_pandera(SimpleNamespace(PandasReportRenderer=PandasReportRenderer, **transformers))
        schema = SimpleNamespace(
            GreatExpectationsTypeTransformer=type("T", (), {"to_literal": 0, "to_python_value": 0})
        )
        plugin = SimpleNamespace(schema=schema, GreatExpectationsTask=GreatExpectationsTask)
        validators.take_expectations_plugin(plugin)
        validators.take_expectations(library)
        validators.take_whylogs(SimpleNamespace(WhylogsConstraintsRenderer=WhylogsConstraintsRenderer))
        yield


@task
def land(fish: list[float]) -> Annotated[Catch, Catches]:
    return Catch(fish)


@task
def land_many(fish: list[float]) -> list[Catch]:
    return [Catch([1.0]), Catch(fish)]


@task
def said_by_hand(fish: list[float]) -> Annotated[Catch, Catches]:
    return Catches.create_from(Catch(fish), Check("pandera-Catch-of-fish", True, message="I know better"))


@task
def count(catch: Catch) -> int:
    return len(catch)


@task
def watched(met: bool) -> tuple[Annotated[int, Catches], int]:
    Checkpoint().run(met)
    report = [
        SimpleNamespace(name="fewer than 3", passed=1, failed=0),
        SimpleNamespace(name="positive", passed=0, failed=1),
    ]
    rows = [(one.name, one.passed, one.failed, None) for one in report]
    WhylogsConstraintsRenderer.to_html(SimpleNamespace(generate_constraints_report=lambda: rows))
    return 1, 2


@task
def validated(dataset: str) -> int:
    GreatExpectationsTask().execute(dataset=dataset)
    return 1


def _literal(context: Any, of: Any, name: str, value: Any) -> Literal:
    if isinstance(value, Literal):
        return value
    return TypeEngine.to_literal(context, value, of.python_interface.inputs[name], of.interface.inputs[name].type)


class Run:
    """A task as an executor runs it, and what it left at its output prefix."""

    def __init__(self, of: Any, prefix: Path, version: str = "", **inputs: Any) -> None:
        now = FlyteContextManager.current_context()
        params = now.user_space_params.builder()
        params.output_metadata_prefix = str(prefix)
        state = now.new_execution_state().with_params(
            mode=ExecutionState.Mode.TASK_EXECUTION, user_space_params=params.build()
        )
        running = now.with_execution_state(state).with_output_metadata_tracker(OutputMetadataTracker())
        self.error: BaseException | None = None
        self.said: dict[str, dict[str, Any]] = {}
        with FlyteContextManager.with_context(running) as context:
            literals = {name: _literal(context, of, name, value) for name, value in inputs.items()}
            for literal in literals.values():
                literal.set_metadata({"_ua": version} if version else {})
            try:
                outputs = of.dispatch_execute(context, LiteralMap(literals)).literals
                self.said = {
                    name: {key: json.loads(text) for key, text in (one.metadata or {}).items()}
                    for name, one in outputs.items()
                }
            except Exception as error:  # noqa: BLE001 - whatever flytekit makes of it
                self.error = error
        files = {path.name: path.read_text() for path in prefix.iterdir()} if prefix.exists() else {}
        self.left = json.loads(files.get("checks.json", "[]"))
        self.deck = files.get("deck.html", "")


def raw(*fish: float) -> Literal:
    return Literal(scalar=Scalar(primitive=Primitive(string_value=json.dumps(fish))))


def test_what_pandera_says_of_an_output_goes_with_it(tmp_path: Path) -> None:
    run = Run(land, tmp_path, fish=[1.0, 2.0])
    assert run.said["o0"]["_uck.pandera-Catch-of-fish"] == {
        "passed": True,
        "value": 0.0,
        "numbers": {"rows": 2.0},
        "message": "every row keeps to the schema",
    }
    assert (run.left, run.deck) == ([], "")


def test_what_only_warns_is_published_with_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PanderaPandasTransformer, "on_error", "warn")
    said = Run(land, tmp_path, fish=[1.0, 101.0, float("nan")]).said["o0"]["_uck.pandera-Catch-of-fish"]
    assert (said["passed"], said["value"], said["severity"]) == (False, 2.0, "warn")
    assert said["message"] == "2 cases failed: fish at_most(100)"
    assert [one["failure_case"] for one in said["evidence"]["cases"]] == [101.0, "nan"]


def test_a_task_that_fails_by_it_says_so_of_no_version_and_in_its_deck(tmp_path: Path) -> None:
    run = Run(land, tmp_path, fish=[101.0])
    assert run.error is not None
    [row] = run.left
    assert (row["check"], row["said"]["passed"], "version" in row) == ("pandera-Catch-of-fish", False, False)
    assert "pandera-Catch-of-fish failed" in run.deck and "at_most(100)" in run.deck


@pytest.mark.parametrize(("fish", "passed"), [(1.0, True), (101.0, False)])
def test_what_it_says_of_an_input_is_about_the_version_that_it_is(tmp_path: Path, fish: float, passed: bool) -> None:
    run = Run(count, tmp_path, version="7", catch=raw(fish))
    assert (run.error is None) == passed
    assert [(row["version"], row["said"]["passed"]) for row in run.left] == [(7, passed)]
    assert f"pandera-Catch-of-fish {'passed' if passed else 'failed'}" in run.deck


def test_an_input_that_is_no_version_leaves_only_what_the_task_failed_by(tmp_path: Path) -> None:
    assert Run(count, tmp_path / "good", catch=raw(1.0)).left == []
    assert [row["check"] for row in Run(count, tmp_path / "bad", catch=raw(101.0)).left] == ["pandera-Catch-of-fish"]


def test_one_of_several_that_failed_is_not_made_good_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PanderaPandasTransformer, "on_error", "warn")
    for fish, passed in (([101.0], False), ([3.0], True)):
        said = Run(land_many, tmp_path, fish=fish).said["o0"]["_uck.pandera-Catch-of-fish"]
        assert said["passed"] == passed


def test_the_programs_own_check_of_that_name_counts(tmp_path: Path) -> None:
    said = Run(said_by_hand, tmp_path, fish=[1.0]).said["o0"]["_uck.pandera-Catch-of-fish"]
    assert said == {"passed": True, "message": "I know better"}


def test_what_is_said_of_nothing_in_particular_is_about_what_the_task_publishes(tmp_path: Path) -> None:
    run = Run(watched, tmp_path, met=False)
    met, holds = (run.said["o0"][f"_uck.{name}"] for name in ("expectations-catch", "whylogs-constraints"))
    assert (met["passed"], met["message"]) == (False, "not met: fish expect_column_max_to_be")
    assert met["evidence"]["unmet"][0]["observed"] == 101
    assert (holds["value"], holds["message"]) == (1.0, "do not hold: positive")
    assert run.said["o1"] == {}


def test_great_expectations_own_task_speaks_of_its_input(tmp_path: Path) -> None:
    for dataset, passed in (("good", True), ("bad", False)):
        run = Run(validated, tmp_path / dataset, version="7", dataset=dataset)
        assert [(row["version"], row["check"], row["said"]["passed"]) for row in run.left] == [
            (7, "expectations-catch", passed)
        ]


def test_of_very_many_cases_a_few_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    error = SchemaErrors([{"column": "fish", "check": f"at_most({number % 2})"} for number in range(5_000)])
    (check,) = reports.of_pandera(Catch([1.0]), SimpleNamespace(name="Catch"), error)
    assert check.said["value"] == 5_000 and len(check.said["evidence"]["cases"]) == reports.MOST_CASES
    assert check.said["message"] == "5000 cases failed: fish at_most(0), fish at_most(1)"


def test_a_plugin_of_another_release_fails_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(PanderaPandasTransformer, "_get_pandera_schema")
    monkeypatch.setattr(PanderaPandasTransformer, "_validate", lambda *_: None)
    assert Run(land, tmp_path, fish=[1.0]).error is None


def test_what_is_left_is_no_more_than_is_taken_and_what_failed_first() -> None:
    rows = [{"check": f"c{number}", "said": {"passed": number != 150}} for number in range(200)]
    kept = json.loads(validators._document(rows))
    assert len(kept) == validators.MOST_ROWS and kept[0]["check"] == "c150"
    large = [{"check": "c", "said": {"passed": False, "evidence": {"cases": ["x" * validators.MOST_BYTES]}}}]
    assert json.loads(validators._document(large)) == [{"check": "c", "said": {"passed": False, "evidence": {}}}]


def test_a_validator_that_says_nonsense_fails_no_task(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    @task
    def odd() -> int:
        WhylogsConstraintsRenderer.to_html(SimpleNamespace(generate_constraints_report=lambda: [()]))
        return 1

    assert Run(odd, tmp_path).error is None
    assert "could not be understood" in caplog.text


class Constraints:
    """As WhyLogs has them: what it validates by asks for the report."""

    def __init__(self, broken: int) -> None:
        self.broken = broken

    def generate_constraints_report(self) -> list[tuple[str, int, int, None]]:
        return [("fish greater than number 5", 1 - self.broken, self.broken, None)]

    def validate(self) -> bool:
        return not self.generate_constraints_report()[0][2]


def test_what_whylogs_validates_by_hand_is_said() -> None:
    validators.take_constraints(SimpleNamespace(Constraints=Constraints))
    token = validators._run.set(run := validators._Run(None))
    try:
        assert not Constraints(1).validate()
    finally:
        validators._run.reset(token)
    (check,) = run.of(lambda subject: subject is None).values()
    assert (check.name, check.said["passed"], check.said["evidence"]) == (
        "whylogs-constraints",
        False,
        {"broken": ["fish greater than number 5"]},
    )


def test_a_single_expectation_says_nothing() -> None:
    one = SimpleNamespace(to_json_dict=lambda: {"success": False, "expectation_config": {}})
    assert list(reports.of_validation(one)) == []
