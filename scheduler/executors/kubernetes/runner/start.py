"""The command line and the variable with which a pod starts flytekit our way.

Both are text in the pod: no volume. A pod without volumes starts 0.3 s sooner (the kubelet looks that often whether all
are mounted), and there is no object to make before, or to be missing.
"""

from __future__ import annotations

import ast
import base64
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PROGRAMS = ("pyflyte-fast-execute", "pyflyte-execute", "pyflyte-map-execute")
VARIABLE = "CAUSEWAY_RUNNER"  # the code; where a task sets it to FLYTEKIT, flytekit's own way is taken
OWN, FLYTEKIT = "causeway", "flytekit"
SHELL = "/bin/sh"
LEAD = 4  # words that `wrapped` puts before the command
_MODULES = ("door", "swift", "ending", "main")
_OF_POOLS = ("importing", "forkable", *_MODULES, "processes", "traces", "program", "pool")
_PACKAGE = "causeway_runner"
_FOLDER = Path(__file__).parent / "pod"
_LOAD = (
    'import sys;sys.path[:1]==[""]and sys.path.pop(0);import os,zlib,binascii;exec('
    "zlib.decompress(binascii.a2b_base64("
    f'os.environ.pop("{VARIABLE}"))),{{"__name__":"{_PACKAGE}"}})'
)
# The interpreter is the one that flytekit's script names; a script that names none is started as it is. A fast command
# has a process above it, as with flytekit's: it is process 1, which would not heed SIGTERM by itself.
_SHELL = f"""p=$(command -v "$1") && IFS= read -r i <"$p" || exec "$@"
case $i in '#!'*python*) i=${{i#??}} ;; *) exec "$@" ;; esac
[ "$1" = {PROGRAMS[0]} ] || exec $i -c '{_LOAD}' "$@"
trap 'kill -TERM $c' TERM
$i -c '{_LOAD}' "$@" <&0 & c=$!
while wait $c; r=$?; kill -0 $c 2>/dev/null; do :; done
exit $r"""
# The interpreter of a pod that stays is the one of flytekit's script, and process 1: whoever loses his parent is its.
_POOL_SHELL = f"""p=$(command -v {PROGRAMS[1]}) && IFS= read -r i <"$p" || exit 127
case $i in '#!'*python*) exec ${{i#??}} -c '{_LOAD}' "$@" ;; *) exit 127 ;; esac"""
_BEGIN = f"""
import sys as s, types as t
def module(name, text=""):
    m = s.modules[name] = t.ModuleType(name)
    m.__path__ = []
    m.__package__ = name if not text else name.rpartition(".")[0]
    exec(compile(text, name, "exec"), m.__dict__)
    return m
module("{_PACKAGE}")
"""


def applies(argv: Sequence[str]) -> bool:
    """Whether the command is one of flytekit's that runs a task."""
    return bool(argv) and argv[0] in PROGRAMS


def wrapped(argv: Sequence[str]) -> list[str]:
    return [SHELL, "-c", _SHELL, OWN, *argv]


def pool_words(silence: float, root: str, shared: Sequence[str]) -> list[str]:
    """The command of a pod that stays; it ends by itself after so many seconds without a word. `root`: the folder for
    those of tasks; `shared`: whatever tasks leave there goes with them.
    """
    return [SHELL, "-c", _POOL_SHELL, OWN, "pool", f"{silence:g}", root, *shared]


def lacks_shell(words: Sequence[str], message: str) -> bool:
    """Whether a container with this command could not start for want of our shell; the text is the runtime's."""
    return list(words[:LEAD]) == wrapped([]) and f'"{SHELL}"' in message and _lacks(message)


def _lacks(message: str) -> bool:
    return "no such file or directory" in message or "not found" in message


@cache
def code() -> str:
    """What the variable holds."""
    return _program(_MODULES, "main.main")


@cache
def pool_code() -> str:
    """What it holds in a pod that stays."""
    return _program(_OF_POOLS, "pool.serve")


def _program(modules: Sequence[str], begin: str) -> str:
    lines = [_BEGIN]
    for name in modules:
        text = _bare((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        lines.append(f"module({f'{_PACKAGE}.{name}'!r}, {text!r})")
    module, function = begin.split(".")
    lines.append(f"s.modules[{f'{_PACKAGE}.{module}'!r}].{function}(s.argv[1:])")
    return base64.b64encode(zlib.compress("\n".join(lines).encode(), 9)).decode()


def _bare(text: str) -> str:
    """The same program without comments and docstrings: each pod has it once more in the cluster's memory."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
