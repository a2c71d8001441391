#!/bin/sh
# ray 2.60.0: `ray.init(_node_ip_address="127.0.0.1")` begins a node at the machine's address in its network, without a word: the one
# address that it is told for this is exchanged (resolve_ip_for_localhost), while any other one is taken as it is.
#
# Seen on 2026-11-29 on a machine with a network:
#   asked for 127.0.0.1: loopback False
#   asked for 127.0.0.2: loopback True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0 2>/dev/null
cat >"$folder/node.py" <<'PY'
import sys

import ray

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _node_ip_address=sys.argv[1])
print(f"asked for {sys.argv[1]}: loopback {ray.get_runtime_context().gcs_address.startswith('127.')}")
PY
found=$(for one in 127.0.0.1 127.0.0.2; do "$folder/venv/bin/python" "$folder/node.py" "$one" 2>/dev/null | grep asked; done)
echo "$found"
[ "$found" = "asked for 127.0.0.1: loopback False
asked for 127.0.0.2: loopback True" ]
