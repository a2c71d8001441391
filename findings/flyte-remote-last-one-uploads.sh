#!/bin/sh
# flytekit 1.16.31: the FlyteRemote that was made last in a process uploads the folders that are given to any other.
#
# Making a FlyteRemote registers its file system for the protocol "flyte" with fsspec, for the whole process. A folder that is
# given to the execute() of an earlier remote is then sent to the later remote's endpoint, with its credentials: a program that
# talks to two installations uploads into the wrong one, and fails where that one is away. Single files go the right way.
#
# Seen on 2026-11-28:
#   the first remote's file system speaks for: second:81
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
cat >"$folder/two.py" <<'PY'
import fsspec
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote

first = FlyteRemote(Config.for_endpoint("first:80", insecure=True), "p", "development")
FlyteRemote(Config.for_endpoint("second:81", insecure=True), "p", "development")
context_of_first = first.context.file_access
speaks_for = fsspec.filesystem("flyte")._remote.config.platform.endpoint
print("the first remote's file system speaks for:", speaks_for)
assert type(context_of_first.get_filesystem("flyte")) is type(fsspec.filesystem("flyte"))
PY
found=$("$folder/venv/bin/python" "$folder/two.py")
echo "$found"
[ "$found" = "the first remote's file system speaks for: second:81" ]
