#!/bin/sh
# flytekit 1.16.31: a task that is annotated to return something and only raises cannot be declared.
#
# flytekit looks in the function's own source for a `return`. One that never comes to its end (it raises, or loops until it
# raises) is good Python and passes every type checker, and its module cannot be imported: FlyteMissingReturnValueException.
# A `return` anywhere in it is enough, also one of a function inside that hands nothing to the outer one.
#
# Seen on 2026-11-29:
#   only raises: FlyteMissingReturnValueException
#   returns in a function inside: declared
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
cat >"$folder/declared.py" <<'PY'
from flytekit import task


def later(n: int) -> int:
    raise NotImplementedError("not today")


def inside(n: int) -> int:
    def doubled() -> int:
        return 2 * n

    doubled()


for name, function in (("only raises", later), ("returns in a function inside", inside)):
    try:
        task(function)
        print(f"{name}: declared")
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
PY
found=$("$folder/venv/bin/python" "$folder/declared.py")
echo "$found"
[ "$found" = "only raises: FlyteMissingReturnValueException
returns in a function inside: declared" ]
