#!/bin/sh
# croniter 7.0.0: a range of one value is every value. "5-5" in the minutes fires at every minute of the hour, and "01-01" in
# the months in every month; robfig/cron v3, which Flyte's scheduler uses, reads the one value.
#
# Seen on 2026-11-28 (the first three times after 2026-01-01T00:00, then the first three of the months):
#   00:01 00:02 00:03
#   2026-01-02 2026-01-03 2026-01-04 ... 2026-02-01 is among the next 40: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet croniter==7.0.0 2>/dev/null
cat >"$folder/range.py" <<'PY'
from datetime import datetime

from croniter import croniter

start = datetime(2026, 1, 1)
minutes = croniter("5-5 0 * * *", start)
print(*(f"{minutes.get_next(datetime):%H:%M}" for _ in range(3)))
months = croniter("0 0 * 01-01 *", start)
days = [months.get_next(datetime) for _ in range(40)]
print(*(f"{day:%Y-%m-%d}" for day in days[:3]), "... 2026-02-01 is among the next 40:", datetime(2026, 2, 1) in days)
PY
found=$("$folder/venv/bin/python" "$folder/range.py")
echo "$found"
[ "$found" = "00:01 00:02 00:03
2026-01-02 2026-01-03 2026-01-04 ... 2026-02-01 is among the next 40: True" ]
