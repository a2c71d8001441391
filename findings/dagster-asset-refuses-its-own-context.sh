#!/bin/sh
# dagster 1.13.28: an asset whose module begins with `from __future__ import annotations` is refused where its context is annotated with
# the very class that the message asks for (dg.AssetExecutionContext): the annotation is a text then, which is compared with
# classes. A sensor with its context annotated so is taken.
#
# Seen on 2026-11-29:
#   sensor: taken
#   asset: Cannot annotate `context` parameter with type dg.AssetExecutionContext.
#   asset without the import: taken
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.28 2>/dev/null
cat >"$folder/plain.py" <<'PY'
import dagster as dg


@dg.job
def nothing(): ...


def made(name, make):
    try:
        make()
        print(f"{name}: taken")
    except dg.DagsterInvalidDefinitionError as error:
        print(f"{name}: {str(error).partition(' `context` must')[0]}")


def sensor():
    @dg.sensor(job=nothing)
    def watch(context: dg.SensorEvaluationContext):
        return dg.SkipReason("nothing")


def asset():
    @dg.asset
    def rows(context: dg.AssetExecutionContext) -> int:
        return 1


made("sensor", sensor)
made("asset", asset)
PY
(echo "from __future__ import annotations"; cat "$folder/plain.py") >"$folder/later.py"
found=$(cd "$folder" && venv/bin/python later.py 2>/dev/null; cd "$folder" && venv/bin/python plain.py 2>/dev/null | sed -n 's/^asset/asset without the import/p')
echo "$found"
[ "$found" = "sensor: taken
asset: Cannot annotate \`context\` parameter with type dg.AssetExecutionContext.
asset without the import: taken" ]
