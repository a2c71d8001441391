#!/bin/sh
# kserve-storage 0.20.0 (KServe's storage initializer): of a folder in S3 `storageUri` is taken for a prefix of keys, not
# for a folder. With s3://models/fish the files of s3://models/fish-2 and of models/fishing.joblib come too, beside those
# that were asked for, under names cut off in the middle; servers that want one model file find two. A slash at the end
# keeps it to the folder.
#
# Seen on 2026-11-29, moto 5.2.5 in place of S3:
#   s3://models/fish: -2/other.joblib ing.joblib model.joblib
#   s3://models/fish/: model.joblib
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for name in kserve aws; do python3 -m venv "$folder/$name"; done
"$folder/kserve/bin/pip" install --quiet kserve-storage==0.20.0 2>/dev/null
"$folder/aws/bin/pip" install --quiet "moto[server]==5.2.5" 2>/dev/null
cat >"$folder/program.py" <<'PY'
import os
import sys
import tempfile

if __name__ == "__main__":
    os.environ.update(AWS_ENDPOINT_URL=sys.argv[1], AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_DEFAULT_REGION="us-east-1")
    import boto3
    from kserve_storage import Storage

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="models")
    for key in ("fish/model.joblib", "fish-2/other.joblib", "fishing.joblib"):
        s3.put_object(Bucket="models", Key=key, Body=b"a model")
    for uri in ("s3://models/fish", "s3://models/fish/"):
        place = tempfile.mkdtemp()
        Storage.download(uri, place)
        found = [os.path.relpath(os.path.join(at, name), place) for at, _, names in os.walk(place) for name in names]
        print(f"{uri}: {' '.join(sorted(found))}")
PY
port=$("$folder/aws/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/aws/bin/moto_server" -p "$port" >"$folder/moto.log" 2>&1 &
moto=$!
trap 'kill $moto; rm -rf "$folder"' EXIT
for _ in $(seq 60); do
    if grep -q Running "$folder/moto.log"; then break; fi
    sleep 1
done
told=$("$folder/kserve/bin/python" "$folder/program.py" "http://127.0.0.1:$port" 2>"$folder/err" || { tail -5 "$folder/err" >&2; false; })
echo "$told"
[ "$told" = "s3://models/fish: -2/other.joblib ing.joblib model.joblib
s3://models/fish/: model.joblib" ]
