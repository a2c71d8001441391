"""Errors of well-known libraries whose words do not say what to do about them: one sentence that does.

A hint is found by what flytekit and the libraries write (flytekit 1.16.31, torch 2.13, pandera 0.35, numpy 2.4 and
pandas 3.1 were looked at). `users` marks what flytekit reports as the system's fault, and repeats, although the
program or its data is what has to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ENVIRONMENTS = "CAUSEWAY_ENVIRONMENTS (see 'Libraries of your own' in the operations guide)"
_FAULTS_OF_OTHERS = re.compile(  # what lies below a failed conversion when it is not the program's fault
    r"\bErrno\b|OSError|IOError|ConnectionError|Timeout|botocore|ClientError|EndpointConnection|MemoryError"
    r"|FlyteUpload|FlyteDownload|FlyteDataNotFound"
)
_RAISED = re.compile(r"^\s*(?:\w+\.)*([A-Z]\w*(?:Errors?|Exception|Failure)): ", re.MULTILINE)


@dataclass(frozen=True)
class Hint:
    pattern: re.Pattern[str]
    text: str
    users: bool = False


def hint_for(message: str) -> Hint | None:
    """The first that fits, the more particular ones before the general."""
    for hint in _HINTS:
        if hint.pattern.search(message) and not (hint.users and _FAULTS_OF_OTHERS.search(message)):
            return hint
    return None


def with_hint(message: str, hint: Hint | None) -> str:
    return f"{message.rstrip()}\n\nHint: {hint.text}" if hint is not None else message


def _hint(pattern: str, text: str, *, users: bool = False) -> Hint:
    return Hint(re.compile(pattern), text, users)


def users_code(message: str) -> str:
    """As flytekit calls an error of the program: by the name of the exception, the last one that the trace tells."""
    raised = _RAISED.findall(message)
    return f"USER:{raised[-1] if raised else 'Unknown'}"


_HINTS = (
    _hint(
        r"Weights only load failed",
        "torch 2.6 and newer load weights only, and flytekit stores a torch.nn.Module as a pickle: if you trust what "
        'made the model, set environment={"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} at the task that reads it; or hand '
        "on a PyTorchCheckpoint or a FlyteFile of its state_dict instead of the module.",
        users=True,
    ),
    _hint(
        r"pandera(\.\w+)*\.errors|\bpandera\b[\s\S]*SchemaError|SchemaErrors?: [\s\S]*(pandera|DataFrameSchema|Column)",
        "the data does not keep to the task's pandera schema, which says above what it expected: correct the data or "
        "the schema; running the task again changes nothing.",
        users=True,
    ),
    _hint(
        r"Python version used to create the pickle file|Python version is different from the version used to create"
        r"|No module named 'pathlib\._local'",
        "the value or the notebook's task was pickled by another version of Python than the one that runs the task: "
        f"use the same version on both sides, or name a Python of that version for the task's image in {ENVIRONMENTS}.",
    ),
    _hint(
        r"numpy\.core\.multiarray failed to import|numpy\.dtype size changed|No module named 'numpy\._core"
        r"|_ARRAY_API not found|compiled using NumPy 1\.x cannot be run in",
        "numpy 1 and numpy 2 meet: a library or a pickle was made with the other one; use the same major version of "
        "numpy in the Python of both tasks, and libraries built for it.",
    ),
    _hint(
        r"No module named 'pandas\.core\.[\w.]+'|Can't get attribute '[^']+' on <module 'pandas"
        r"|__setstate__[\s\S]*pandas|pandas[\s\S]*(NotImplementedError|TypeError)[\s\S]*BlockPlacement",
        "a pickle holds a frame of another version of pandas: use the same pandas in the Python of both tasks, or hand "
        "on the frame itself, which flytekit stores as Parquet.",
    ),
    _hint(
        r"Can't get attribute '[^']+' on <module|UnpicklingError|InconsistentVersionWarning",
        "a pickle can be read only where the same modules with the same classes are installed as where it was written: "
        "use the same versions of the program and its libraries in both tasks.",
    ),
    _hint(
        r"PicklingError|(?i:can(no|')t pickle)",
        "this value cannot be pickled, and flytekit has no other way to store its type: return plain values, files, "
        "frames or models, and make connections, locks, generators and functions inside the task that uses them.",
        users=True,
    ),
    _hint(
        r"Failed to convert outputs[\s\S]*tuple index out of range|tuple index out of range[\s\S]*_output_to_literal",
        "flytekit hides the cause: an output is of a type that cannot be stored (a tf.data.Dataset, a generator ...); "
        "return a file, a frame or plain values instead.",
        users=True,
    ),
    _hint(
        r"surrogates not allowed",
        "a text holds half a character (a surrogate, as errors='surrogateescape' makes them), which cannot be stored: "
        "decode it with errors='replace', or hand on bytes or a file.",
        users=True,
    ),
    _hint(
        r"to_flyte_idl[\s\S]*ValueError: Value out of range",
        "whole numbers are stored with 64 bits, and this one has more: return a float, or a str of its digits.",
        users=True,
    ),
    _hint(
        r"raise self\._exception\n\s*(TypeError: '\w+' object is not iterable|IndexError: list index out of range)\n",
        "flytekit hides the cause: the task gives more or fewer outputs than it declares.",
        users=True,
    ),
    _hint(
        r"Object arrays cannot be saved when allow_pickle=False",
        "flytekit stores numpy arrays without pickles, so that arrays of objects cannot be an output: return a list or "
        "a frame, or give the array a dtype.",
        users=True,
    ),
    _hint(
        r"'pyarrow(\.\w+)?' is required|pyarrow is required|No module named 'pyarrow'"
        r"|Missing optional dependency 'pyarrow'",
        f"frames are stored as Parquet with pyarrow: install it in the Python of the task's image, {ENVIRONMENTS}.",
    ),
    _hint(
        r"No module named 'flytekitplugins",
        "a plugin of flytekit is not installed in the Python that runs the task: install it there, and name that "
        f"Python for the task's image in {ENVIRONMENTS}.",
    ),
    _hint(
        r"ModuleNotFoundError: No module named|ImportError: cannot import name",
        "what is imported is not in the Python that runs the task, or not in the version that the program expects: a "
        "file of your program has to be sent along (pyflyte run --copy all), a library has to be installed in the "
        f"Python of the task's image, {ENVIRONMENTS}.",
    ),
    _hint(
        r"JAVA_GATEWAY_EXITED|JAVA_HOME is not set|Unable to locate a Java Runtime",
        "Spark needs Java on the machine that runs the task, and it is not there, or JAVA_HOME does not lead to it.",
    ),
    _hint(
        r'pods "[^"]*" is forbidden: User "system:serviceaccount:',
        "the account that a Spark driver runs as may not make its executors: an administrator of the cluster binds it "
        "the role edit in the namespace, or the launch or the cluster's settings name a service account that may.",
    ),
    _hint(
        r"can't open file '/opt/venv/bin/entrypoint\.py'",
        "the Spark plugin starts flytekit's entrypoint.py of /opt/venv, and the task's image has it elsewhere: "
        'Spark(applications_path="local:///usr/local/bin/entrypoint.py", executor_path="/usr/local/bin/python3"), '
        "with the paths that the image has.",
    ),
    _hint(
        r"No CUDA GPUs are available|Found no NVIDIA driver|Torch not compiled with CUDA enabled",
        'a task sees the GPUs it asks for only: requests=Resources(gpu="1"); the machine has to have them, and the '
        "Python of its image a torch that is built for CUDA.",
    ),
    _hint(
        r"Failed to convert (outputs|inputs) of task|TypeTransformerFailedError",
        "a value is not of the type that the task declares, or that type cannot be stored: compare what the function "
        "gives with its annotations.",
        users=True,
    ),
)
