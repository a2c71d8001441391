#!/bin/sh
# pyspark 4.3.0 (PyPI): `pip install pyspark` brings all that submits to Kubernetes, but not the entry point that Spark's pods are started
# with (the words `driver` and `executor`), nor the Dockerfiles. Its bin/docker-image-tool.sh, which makes images, is there and finds
# neither. So an image made of the package alone can be no driver: exec: "driver": executable file not found in $PATH.
#
# Seen on 2026-11-30:
#   submits to Kubernetes: True
#   makes images of pods: False (Failed to create docker build context.)
#   has their entry point: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyspark==4.3.0 2>/dev/null
spark=$(echo "$folder"/venv/lib/python3*/site-packages/pyspark)
found=$(
    [ -n "$(find "$spark/jars" -name 'spark-kubernetes_*.jar')" ] && echo "submits to Kubernetes: True"
    (cd "$spark" && ./bin/docker-image-tool.sh -t 1 build >"$folder/said" 2>&1) ||
        echo "makes images of pods: False ($(tail -1 "$folder/said"))"
    [ -n "$(find "$spark" -name entrypoint.sh)" ] || echo "has their entry point: False"
)
echo "$found"
[ "$found" = "submits to Kubernetes: True
makes images of pods: False (Failed to create docker build context.)
has their entry point: False" ]
