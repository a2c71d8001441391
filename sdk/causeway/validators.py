"""What validators of data say while a task runs, as checks of the artifact versions that they look at.

flytekit loads this by itself where the SDK is installed (causeway.types); programs stay as they are. Listened to are

    pandera             each validation by flytekitplugins-pandera, of an output or an input: `pandera-SCHEMA`
    Great Expectations  each run of a checkpoint, by flytekitplugins-great_expectations or by hand, and since 1.0 of a
                        validation, and each suite that a batch is validated by: `expectations-SUITE`
    WhyLogs             each validation or report of constraints, by flytekitplugins-whylogs or by hand:
                        `whylogs-constraints`

What is said of an output goes with its literal, as a `causeway.Check` of the program does. What is said of an input
that is a version already is left beside the outputs (LEFT), also where the task fails by it; it only warns, unless the
artifact has a check of that name, for it is what one reader asks. What is said of no value in particular is about all
that the task publishes. What keeps a task from publishing is left there too, and shown in its deck. A validator that
cannot be understood is told in the log and never fails a task.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import ExecutionState, FlyteContext

from causeway.decks.page import STYLE, section
from causeway.decks.tables import table
from causeway.facts import Check
from causeway.literals import inside
from causeway.reports import of_checkpoint, of_constraints, of_pandera, of_validation

logger = logging.getLogger("causeway.validators")

# At the output prefix: [{"version": id, missing: of none, "check": name, "said": as Check says it}]
LEFT, DECK = "checks.json", "deck.html"
CARRIED_KEY = "_ua"  # literal metadata that names the version a literal is
MOST_ROWS, MOST_BYTES = 100, 1024**2  # of LEFT


@dataclass(eq=False)
class _Subject:
    """A value that is being turned into a literal, or back. `literal` of one that is made comes when it is there."""

    literal: Any = None
    is_input: bool = False


@dataclass
class _Run:
    """What was said while a task ran, and of what (None: nobody said)."""

    inputs: Any
    said: list[tuple[_Subject | None, Check]] = field(default_factory=list)

    def of(self, applies: Callable[[_Subject | None], bool]) -> dict[str, Check]:
        """By name. Of several the last counts, but one that failed is not made good by one that passed."""
        found: dict[str, Check] = {}
        for subject, check in self.said:
            if applies(subject) and not (check.name in found and check.said["passed"]):
                found[check.name] = check
        return found


_run: ContextVar[_Run | None] = ContextVar("causeway_validators_run", default=None)
_subject: ContextVar[_Subject | None] = ContextVar("causeway_validators_subject", default=None)


def say(make: Callable[[], Iterator[Check]]) -> None:
    """Note what a validator says of what is looked at just now."""
    run = _run.get()
    if run is None:
        return
    try:
        run.said.extend((_subject.get(), check) for check in make())
    except Exception:
        logger.warning("what a validator said could not be understood", exc_info=True)


@contextmanager
def about(subject: _Subject) -> Iterator[_Subject]:
    token = _subject.set(subject)
    try:
        yield subject
    finally:
        _subject.reset(token)


def take_pandera(plugin: Any) -> None:
    """Each validation is rendered, whether it failed or not: there all of it is at hand."""
    transformer, renderer = plugin.PanderaPandasTransformer, plugin.PandasReportRenderer
    _bind_literals(transformer, _warns_of_pandera)
    render = renderer.to_html

    @functools.wraps(render)
    def to_html(self: Any, data: Any, schema: Any, error: Any = None) -> str:
        say(lambda: of_pandera(data, schema, error, warns=_warns.get()))
        return str(render(self, data, schema, error))

    renderer.to_html = to_html


_warns: ContextVar[bool] = ContextVar("causeway_validators_warns", default=False)


def _warns_of_pandera(transformer: Any, python_type: Any) -> bool:
    return bool(transformer._get_pandera_schema(python_type)[1].on_error == "warn")


def take_expectations_plugin(plugin: Any) -> None:
    """It imports Great Expectations when it needs it: only then there is something to listen to."""
    transformer, task = plugin.schema.GreatExpectationsTypeTransformer, plugin.GreatExpectationsTask
    _bind_literals(transformer, lambda *_: _listen_to_checkpoints())
    execute = task.execute

    @functools.wraps(execute)
    def validate(self: Any, **inputs: Any) -> Any:
        _listen_to_checkpoints()
        run = _run.get()
        literal = run.inputs.literals.get(next(iter(inputs), "")) if run is not None else None
        with about(_Subject(literal, is_input=True)):
            return execute(self, **inputs)

    task.execute = validate


def take_expectations(library: Any) -> None:
    _listen_to_checkpoints()
    with contextlib.suppress(ImportError):  # before 1.0 there is no such thing
        from great_expectations.core.validation_definition import ValidationDefinition
        from great_expectations.datasource.fluent.interfaces import Batch

        _listen(ValidationDefinition, "run", of_validation)
        _listen(Batch, "validate", of_validation)


def _listen_to_checkpoints() -> bool:
    from great_expectations.checkpoint import Checkpoint

    _listen(Checkpoint, "run", of_checkpoint)
    return False


def _listen(owner: Any, name: str, of: Callable[[Any], Iterator[Check]]) -> None:
    """What the method returns is said. Once; does nothing the next time."""
    original = getattr(owner, name)
    if getattr(original, "causeway", False):
        return

    @functools.wraps(original)
    def call_and_say(*args: Any, **options: Any) -> Any:
        result = original(*args, **options)
        say(lambda: of(result))
        return result

    call_and_say.causeway = True  # type: ignore[attr-defined]
    setattr(owner, name, call_and_say)


def take_constraints(library: Any) -> None:
    """WhyLogs' own, whose report is asked for as it was: ours would be told of itself."""
    owner = library.Constraints
    report = owner.generate_constraints_report
    for name in ("validate", "report", "generate_constraints_report"):
        original = getattr(owner, name, None)
        if original is not None:
            setattr(owner, name, _and_say(original, report))


def _and_say(original: Callable[..., Any], report: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call_and_say(self: Any, *args: Any, **options: Any) -> Any:
        result = original(self, *args, **options)
        say(lambda: of_constraints(report(self)))
        return result

    return call_and_say


def take_whylogs(plugin: Any) -> None:
    renderer = plugin.WhylogsConstraintsRenderer
    render = renderer.to_html

    @functools.wraps(render)
    def to_html(constraints: Any) -> str:
        say(lambda: of_constraints(constraints.generate_constraints_report()))
        return str(render(constraints))

    renderer.to_html = staticmethod(to_html)


def _heeded(listen: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns; a plug-in of another release, which may have changed, fails no task."""
    try:
        return listen(*arguments)
    except Exception:
        logger.warning("what validators say may not be taken for checks", exc_info=True)
        return None


def _bind_literals(transformer: Any, warns: Callable[[Any, Any], bool]) -> None:
    """What is said while the transformer makes or reads a literal is said of that literal."""
    make, read = transformer.to_literal, transformer.to_python_value

    @contextmanager
    def looking_at(self: Any, python_type: Any, subject: _Subject) -> Iterator[_Subject]:
        token = _warns.set(bool(_heeded(warns, self, python_type)))
        try:
            with about(subject):
                yield subject
        finally:
            _warns.reset(token)

    @functools.wraps(make)
    def to_literal(self: Any, ctx: FlyteContext, python_val: Any, python_type: Any, expected: Any) -> Any:
        with looking_at(self, python_type, _Subject()) as subject:
            subject.literal = make(self, ctx, python_val, python_type, expected)
        return subject.literal

    @functools.wraps(read)
    def to_python_value(self: Any, ctx: FlyteContext, lv: Any, expected_python_type: Any) -> Any:
        with looking_at(self, expected_python_type, _Subject(lv, is_input=True)):
            return read(self, ctx, lv, expected_python_type)

    transformer.to_literal, transformer.to_python_value = to_literal, to_python_value


TAKEN: dict[str, tuple[str, Callable[[Any], None]]] = {  # by module: what it has once it is whole, and what to do then
    "flytekitplugins.pandera": ("PanderaPandasTransformer", take_pandera),
    "flytekitplugins.great_expectations": ("GreatExpectationsTask", take_expectations_plugin),
    "flytekitplugins.whylogs": ("WhylogsConstraintsRenderer", take_whylogs),
    "great_expectations": ("checkpoint", take_expectations),
    "whylogs.core.constraints": ("MetricConstraint", take_constraints),
}


def take() -> None:
    """Listen to those that have come since. One that is only to be imported lazily has not."""
    for name, (sign, listen) in list(TAKEN.items()):
        if (module := sys.modules.get(name)) is not None and sign in object.__getattribute__(module, "__dict__"):
            TAKEN.pop(name, None)
            _heeded(listen, module)


def _mark(outputs: Any, run: _Run, published: Callable[[str], bool]) -> None:
    """Put what was said of outputs on their literals; the program's own checks of the same name count."""
    for name, literal in outputs.literals.items():
        its = {id(one) for one in inside(literal)}
        everything = published(name)

        def applies(subject: _Subject | None, its: set[int] = its, everything: bool = everything) -> bool:
            return everything if subject is None else not subject.is_input and id(subject.literal) in its

        if said := run.of(applies):
            metadata = dict(check.serialize_to_string(None, name) for check in said.values())
            literal.set_metadata({**metadata, **(literal.metadata or {})})


def _leave(ctx: FlyteContext, run: _Run, *, failed: bool) -> None:
    """Write down what goes with no literal, where the control plane finds it: what was said of inputs that are
    versions, and where the task failed what it failed by. The deck shows it, unless the program made one of its own.
    """
    state = ctx.execution_state
    if not run.said or state is None or state.mode != ExecutionState.Mode.TASK_EXECUTION:
        return
    versions = dict.fromkeys(version for subject, _ in run.said if (version := _version(subject)))
    rows = [_row(check, version=int(version)) for version in versions for check in run.of(_is_of(version)).values()]
    if failed:
        broken = run.of(lambda subject: not _version(subject)).values()
        rows += [_row(check) for check in broken if not check.said["passed"]]
    if not rows:
        return
    _put(ctx, LEFT, _document(rows))
    if not ctx.file_access.exists(_path(ctx, DECK)):
        _put(ctx, DECK, _shown(check for _, check in run.said))


def _document(rows: list[dict[str, Any]]) -> str:
    """As much as is taken: what failed first, and without the cases where they are too many."""
    rows = sorted(rows, key=lambda row: row["said"]["passed"])[:MOST_ROWS]
    text = json.dumps(rows)
    if len(text) > MOST_BYTES:
        text = json.dumps([{**row, "said": {**row["said"], "evidence": {}}} for row in rows])
    return text


def _row(check: Check, **about: int) -> dict[str, Any]:
    return {**about, "check": check.name, "said": json.loads(check.serialize_to_string(None, "")[1])}


def _is_of(version: str) -> Callable[[_Subject | None], bool]:
    return lambda subject: _version(subject) == version


def _path(ctx: FlyteContext, name: str) -> str:
    return f"{str(ctx.user_space_params.output_metadata_prefix).rstrip('/')}/{name}"


def _put(ctx: FlyteContext, name: str, text: str) -> None:
    path = Path(ctx.file_access.get_random_local_directory()) / name
    path.write_text(text, encoding="utf-8")
    ctx.file_access.put_data(str(path), _path(ctx, name))


def _shown(checks: Iterator[Check]) -> str:
    parts = []
    for check in checks:
        verdict = "passed" if check.said["passed"] else "failed"
        rows: list[Any] = next(iter(check.said["evidence"].values()), [])
        told = [row if isinstance(row, dict) else {"what": row} for row in rows]
        parts.append(section(f"{check.name} {verdict}", said=check.said["message"]))
        parts += [table(told, title="What failed")] if told else []
    return (
        f'<!doctype html><meta charset="utf-8"><title>Checks</title>{STYLE}<div class="cw-deck">{"".join(parts)}</div>'
    )


def _version(subject: _Subject | None) -> str:
    """The id of the version that an input is; empty where it is none."""
    if subject is None or not subject.is_input:
        return ""
    text = str((getattr(subject.literal, "metadata", None) or {}).get(CARRIED_KEY, ""))
    return text if text.isascii() and text.isdigit() else ""


def register() -> None:
    """Listen while tasks run. Once; does nothing the next time."""
    dispatch, convert = PythonTask.dispatch_execute, PythonTask._output_to_literal_map
    if getattr(dispatch, "causeway", False):
        return

    @functools.wraps(dispatch)
    def dispatch_execute(self: Any, ctx: FlyteContext, input_literal_map: Any) -> Any:
        token = _run.set(run := _Run(input_literal_map))
        failed = True
        try:
            outputs = dispatch(self, ctx, input_literal_map)
            failed = False
        finally:
            _run.reset(token)
            _heeded(functools.partial(_leave, failed=failed), ctx, run)
        return outputs

    @functools.wraps(convert)
    async def output_to_literal_map(self: Any, native_outputs: Any, ctx: FlyteContext) -> Any:
        literals, natives = await convert(self, native_outputs, ctx)
        if (run := _run.get()) is not None:
            variables = self._outputs_interface
            _heeded(_mark, literals, run, lambda name: variables[name].artifact_partial_id is not None)
        return literals, natives

    dispatch_execute.causeway = True  # type: ignore[attr-defined]
    PythonTask.dispatch_execute, PythonTask._output_to_literal_map = dispatch_execute, output_to_literal_map
