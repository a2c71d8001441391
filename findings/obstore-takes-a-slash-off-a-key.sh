#!/bin/sh
# obstore 0.12.1: a key that ends with a slash is another key than S3's. `put(store, "models/", ...)` writes the object
# `models` without a word, over one of that name that is there; S3 and its other clients keep `models` and `models/` apart
# (consoles make the latter to show an empty folder). An object `models/` that another client wrote can't be read by its
# name, and a list leaves its slash out, so that two objects are told as one name twice. Doubled slashes are refused instead.
#
# Seen on 2026-11-30 (keys that boto3 lists after obstore put `models` and `models/`; what `models` holds; then, of what
# boto3 puts under both names, what obstore reads as `models/`, and the names that it lists):
#   ['models'] b'second'
#   b'plain' ['models', 'models']
#   ValueError
set -eu
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
server=''
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "obstore==0.12.1" "moto[server]==5.2.5" boto3==1.43.117 2>/dev/null
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p 5917 >"$folder/log" 2>&1 &
server=$!
found=$(AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'PYTHON'
import time

import boto3
import obstore
from obstore.store import S3Store

AT = "http://127.0.0.1:5917"
s3 = boto3.client("s3", endpoint_url=AT)
for _ in range(100):
    try:
        s3.create_bucket(Bucket="bucket")
        break
    except Exception as error:
        why = error
        time.sleep(0.2)
else:
    raise SystemExit(f"no server: {why}")
store = S3Store("bucket", endpoint=AT, client_options={"allow_http": True})
obstore.put(store, "models", b"first")
obstore.put(store, "models/", b"second")
keys = [one["Key"] for one in s3.list_objects_v2(Bucket="bucket")["Contents"]]
print(keys, s3.get_object(Bucket="bucket", Key="models")["Body"].read())
s3.put_object(Bucket="bucket", Key="models", Body=b"plain")
s3.put_object(Bucket="bucket", Key="models/", Body=b"slash")
names = [one["path"] for page in obstore.list(store) for one in page]
print(obstore.get(store, "models/").bytes().to_bytes(), names)
try:
    obstore.put(store, "models//a", b"")
except Exception as error:
    print(type(error).__name__)
PYTHON
)
echo "$found"
[ "$found" = "['models'] b'second'
b'plain' ['models', 'models']
ValueError" ]
