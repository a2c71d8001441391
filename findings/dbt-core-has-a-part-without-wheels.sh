#!/bin/sh
# dbt-core 1.12.6 (from 1.12 on): it needs dbt-core-experimental-parser, of which PyPI has a source distribution alone, without sources: what
# it "builds" it fetches from GitHub. So the newest dbt cannot be installed from a mirror of PyPI, or from wheels, whereas
# 1.11 can. The metadata of dbt-core, a wheel, does not tell.
#
# Seen on 2026-11-29 (`pip download --only-binary :all:`):
#   dbt-core==1.12.6: no wheel of dbt-core-experimental-parser
#   dbt-core==1.11.16: every part has a wheel
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
try() {
    if "$folder/venv/bin/pip" install --dry-run --quiet --only-binary :all: "dbt-core==$1" >"$folder/said" 2>&1; then
        echo "dbt-core==$1: every part has a wheel"
    else
        part=$(sed -n 's/.*No matching distribution found for \([a-z-]*\).*/\1/p' "$folder/said" | tail -n 1)
        echo "dbt-core==$1: no wheel of $part"
    fi
}
found=$(try 1.12.6; try 1.11.16)
echo "$found"
[ "$found" = "dbt-core==1.12.6: no wheel of dbt-core-experimental-parser
dbt-core==1.11.16: every part has a wheel" ]
