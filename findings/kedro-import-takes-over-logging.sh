#!/bin/sh
# kedro 1.7.0: importing `kedro.framework.project`, which its configuration, session and catalogue tools do, configures logging of the whole
# process: a handler at the root logger that writes to standard output, another sys.excepthook and warnings.showwarning. So what a
# program prints for another to read (JSON) begins with a line of Kedro's.
#
# Seen on 2026-11-29 (`python -c "import kedro.framework.project; print('{}')"`, and what is different afterwards):
#   lines before {}: True
#   root handlers: RichHandler, excepthook is Python's: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kedro==1.7.0 2>/dev/null
cd "$folder"
lines=$(venv/bin/python -c "import kedro.framework.project; print('{}')" 2>/dev/null)
first=$(echo "$lines" | head -n 1)
found=$(venv/bin/python -c "
import logging, sys
hook = sys.excepthook
import kedro.framework.project
handlers = ', '.join(type(one).__name__ for one in logging.getLogger().handlers)
print(f'root handlers: {handlers}, excepthook is Python\'s: {sys.excepthook is hook}')" 2>/dev/null | tail -n 1)
if [ "$first" = "{}" ]; then before=False; else before=True; fi
echo "lines before {}: $before"
echo "$found"
[ "$before" = True ] && [ "$found" = "root handlers: RichHandler, excepthook is Python's: False" ]
