"""Known traps of libraries get a sentence that says what to do, and are the user's where they are."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import cloudpickle  # type: ignore[import-untyped]
import pytest
from flyteidl.core import errors_pb2, execution_pb2
from flytekit import task
from flytekit.core.python_auto_container import PickledEntity, PickledEntityMetadata

from artifacts.store import open_store
from scheduler.attempts.hints import hint_for
from scheduler.attempts.outcomes import Outcome
from scheduler.executors.local.notebooks import PICKLE, RESOLVER, mismatch, version_of, written_by
from scheduler.executors.local.outcome import Exit, judge

USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM
RECOVERABLE = errors_pb2.ContainerError.RECOVERABLE
PANDERA = """Trace:
    Traceback (most recent call last):
      File "site-packages/pandera/api/pandas/model.py", line 1, in validate
    pandera.errors.SchemaErrors: {"DATA": {"DATAFRAME_CHECK": [{"schema": "Catch", "column": "fish"}]}}
"""
STORING = '  File "site-packages/flytekit/models/literals.py", line 145, in to_flyte_idl\n    '
HIDDEN = """  File "concurrent/futures/_base.py", line 401, in __get_result
    raise self._exception
    """


def judged(tmp_path: Path, message: str, *, code: str = "SYSTEM", origin: int = SYSTEM, kind: int = 0) -> Outcome:
    """What becomes of an error document that a task left."""
    store = open_store(str(tmp_path))
    error = errors_pb2.ContainerError(code=code, message=message, kind=kind, origin=origin)  # type: ignore[arg-type]
    store.put(f"{tmp_path}/out/error.pb", errors_pb2.ErrorDocument(error=error).SerializeToString())
    return judge(f"{tmp_path}/out", Exit(status=1), store)


def told(outcome: Outcome) -> execution_pb2.ExecutionError:
    assert outcome.error is not None
    return execution_pb2.ExecutionError.FromString(outcome.error)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Weights only load failed. Unsupported global: GLOBAL tor.Net", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"),
        (PANDERA, "pandera schema"),
        ("The Python version used to create the pickle file is different from the current Python", "CAUSEWAY_ENV"),
        ("ModuleNotFoundError: No module named 'pathlib._local'", "same version"),
        ("ModuleNotFoundError: No module named 'numpy._core'", "numpy 1 and numpy 2"),
        ("ValueError: numpy.dtype size changed, may indicate binary incompatibility", "numpy 1 and numpy 2"),
        ("ModuleNotFoundError: No module named 'pandas.core.indexes.numeric'", "another version of pandas"),
        ("AttributeError: Can't get attribute 'Net' on <module '__main__'", "same modules"),
        ("TypeError: cannot pickle '_thread.lock' object", "cannot be pickled"),
        ("Failed to convert outputs of task 'a.b' at position 0.\nIndexError: tuple index out of range", "hides"),
        (
            'pods "x-driver" is forbidden: User "system:serviceaccount:p:default" cannot get',
            "may not make its executors",
        ),
        ("python3: can't open file '/opt/venv/bin/entrypoint.py': [Errno 2] No such file", "applications_path="),
        ("ValueError: Object arrays cannot be saved when allow_pickle=False.", "arrays of objects"),
        (f"{STORING}UnicodeEncodeError: 'utf-8' codec can't encode '\\ud800': surrogates not allowed", "half a char"),
        (f"{STORING}ValueError: Value out of range: 9223372036854775808", "64 bits"),
        (f"{HIDDEN}TypeError: 'int' object is not iterable\n\nMessage:", "more or fewer outputs"),
        (f"{HIDDEN}IndexError: list index out of range\n\nMessage:", "more or fewer outputs"),
        ("ImportError: 'pyarrow.parquet' is required", "pyarrow"),
        ("ModuleNotFoundError: No module named 'flytekitplugins.spark'", "plugin of flytekit"),
        ("ModuleNotFoundError: No module named 'pandera'", "is not in the Python"),
        ("RuntimeError: No CUDA GPUs are available", 'Resources(gpu="1")'),
        (
            "Failed to convert outputs of task 'a.b' at position 0.\nTypeTransformerFailedError: Expected int",
            "declares",
        ),
    ],
)
def test_a_known_trap_says_what_to_do(tmp_path: Path, message: str, words: str) -> None:
    outcome = judged(tmp_path, message)
    assert told(outcome).message.startswith(message.rstrip())
    assert words in told(outcome).message.rpartition("Hint: ")[2]
    assert "Hint" not in outcome.reason


@pytest.mark.parametrize("message", ["ValueError: the data is wrong", "KeyError: 'column'", "", "Column fish missing"])
def test_everything_else_is_told_as_it_is(tmp_path: Path, message: str) -> None:
    assert told(judged(tmp_path, message, code="USER:ValueError", origin=USER)).message == message


def test_bad_data_is_the_users_and_not_tried_again(tmp_path: Path) -> None:
    outcome = judged(tmp_path, PANDERA, kind=RECOVERABLE)
    assert (told(outcome).kind, told(outcome).code) == (USER, "USER:SchemaErrors")
    assert not outcome.retryable


@pytest.mark.parametrize(
    "message",
    [
        "Failed to convert outputs of task 'a.b' at position 0.\nConnectionError: the store does not answer",
        "Failed to convert outputs of task 'a.b' at position 0.\nOSError: [Errno 5] Input/output error",
        "Failed to convert inputs of task 'a.b':\nFlyteDownloadDataException: Failed to get data from s3://x",
        "ModuleNotFoundError: No module named 'pandera'",
    ],
)
def test_what_may_be_the_systems_stays_the_systems(tmp_path: Path, message: str) -> None:
    outcome = judged(tmp_path, message, kind=RECOVERABLE)
    assert told(outcome).kind == SYSTEM and outcome.retryable


def test_the_log_of_a_program_that_only_ended_is_read_too(tmp_path: Path) -> None:
    log = "Traceback ...\nModuleNotFoundError: No module named 'torch'\n"
    outcome = judge(f"{tmp_path}/out", Exit(status=1, log_tail=log), open_store(str(tmp_path)))
    assert "Hint: what is imported" in told(outcome).message


def test_hints_are_one_sentence_each() -> None:
    hint = hint_for("Weights only load failed")
    assert hint is not None and hint.text.endswith(".") and "\n" not in hint.text


@task
def increment(x: int) -> int:
    return x + 1


def notebook(folder: Path, version: str) -> Path:
    entity = PickledEntity(metadata=PickledEntityMetadata(python_version=version), entities={"increment": increment})
    with gzip.open(folder / PICKLE, "wb") as file:
        cloudpickle.dump(entity, file)
    return folder / PICKLE


def test_a_notebooks_python_is_known_without_reading_its_pickle(tmp_path: Path) -> None:
    assert written_by(notebook(tmp_path, "3.99.7")) == "3.99"
    (tmp_path / PICKLE).write_bytes(gzip.compress(b"no pickle"))
    assert written_by(tmp_path / PICKLE) == ""
    (tmp_path / PICKLE).write_bytes(b"not even compressed")
    assert written_by(tmp_path / PICKLE) == written_by(tmp_path / "absent") == ""


def test_a_notebook_of_another_python_is_refused_with_the_way_out(tmp_path: Path) -> None:
    args = ["pyflyte-execute", "--resolver", f"flytekit.core.python_auto_container.{RESOLVER}", "--"]
    notebook(tmp_path, "3.99.7")
    said = mismatch(args, tmp_path, sys.executable, "cr.flyte.org/flyteorg/flytekit:py3.99-1.16.31")
    ours = version_of(sys.executable)
    assert "of Python 3.99, as a pickle" in said and f"run by Python {ours} here" in said
    assert "CAUSEWAY_ENVIRONMENTS=cr.flyte.org/flyteorg/flytekit:py3.99-1.16.31=/path/of/python3.99" in said
    assert mismatch(["pyflyte-execute"], tmp_path, sys.executable, "") == ""
    notebook(tmp_path, f"{ours}.1")
    assert mismatch(args, tmp_path, sys.executable, "") == ""
