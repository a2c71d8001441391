#!/bin/sh
# boto3 1.44.8: a small object written or read through the client costs more than twice the CPU time of the request itself. The
# same request, signed by botocore's own signer with the same keys and sent over the client's own connections, takes a fraction:
# the rest are rules for endpoints, hooks and the parsing of an empty answer. It is noticed where a program does little else
# than keep small files in S3.
#
# Seen on 2026-11-29, Python 3.11, CPU time of a call (the least of five rounds), server in another process:
#   put_object 1.4 ms, signed and sent 0.5 ms: 2.8 times
#   get_object 1.9 ms, signed and sent 0.8 ms: 2.5 times
set -eu
folder=$(mktemp -d)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet boto3==1.44.8 2>/dev/null
cat >"$folder/server.py" <<'PY'
import socketserver
import sys


class Store(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.lower().partition(b":")
                length = int(value) if name == b"content-length" else length
                if name == b"expect":  # the client waits for this for a second
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.rfile.read(length)
            body = b"x" * 100 if line.startswith(b"GET") else b""
            self.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))


socketserver.ThreadingTCPServer.daemon_threads = True
with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Store) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
PY
cat >"$folder/cost.py" <<'PY'
import sys
import time

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

url = f"http://127.0.0.1:{sys.argv[1]}"
keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
client = boto3.client("s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"}), **keys)
frozen = client._request_signer._credentials.get_frozen_credentials()


def plainly(method, body=b""):
    request = AWSRequest(method=method, url=f"{url}/bucket/key", data=body)
    S3SigV4Auth(frozen, "s3", "us-east-1").add_auth(request)
    answer = client._endpoint.http_session.send(request.prepare())
    assert answer.status_code == 200
    return answer.content


def cost(call, times=60):
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - began) * 1000 / times)
    return min(rounds)


ratios = []
for name, through, alone in (
    ("put_object", lambda: client.put_object(Bucket="bucket", Key="key", Body=b"x" * 100), lambda: plainly("PUT", b"x" * 100)),
    ("get_object", lambda: client.get_object(Bucket="bucket", Key="key")["Body"].read(), lambda: plainly("GET")),
):
    first, second = cost(through), cost(alone)
    ratios.append(first / second)
    print(f"{name} {first:.1f} ms, signed and sent {second:.1f} ms: {first / second:.1f} times")
sys.exit(0 if min(ratios) > 2 else 1)
PY
"$folder/venv/bin/python" "$folder/server.py" >"$folder/port" &
server=$!
trap 'kill $server; rm -rf "$folder"' EXIT
while [ ! -s "$folder/port" ]; do sleep 0.1; done
"$folder/venv/bin/python" "$folder/cost.py" "$(cat "$folder/port")"
