#!/bin/sh
# flytekit 1.16.31: a device login that is told `slow_down` polls on at the same pace. RFC 8628 (3.5) has a client wait five
# seconds longer from then on; whoever builds on that, and answers `slow_down` to whoever comes sooner, never lets it in. And
# where the code itself is refused, the reason that the answer gives (RFC 6749 5.2) is not told, only "Bad Request".
#
# Seen on 2026-11-29 (an interval of 1 second, `slow_down` twice):
#   seconds between polls: 1 1
#   refused: Unable to retrieve Device Authentication Code for ..., Reason Bad Request
#   the server's own words are in it: False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flytekit==1.16.31 2>/dev/null
cat >"$folder/login.py" <<'PY'
import contextlib
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from flytekit.clients.auth import token_client

polled: list[float] = []


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/device":
            self.answer(400, {"error": "invalid_scope", "error_description": "the scope admin is not offered"})
            return
        polled.append(time.monotonic())
        if len(polled) < 3:
            self.answer(400, {"error": "slow_down"})
        else:
            self.answer(200, {"access_token": "a", "expires_in": 60})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
code = token_client.DeviceCodeResponse("device", "user", url, expires_in=60, interval=1)
with contextlib.redirect_stdout(io.StringIO()):
    token_client.poll_token_endpoint(code, url + "/token", client_id="cli")
print("seconds between polls:", *(round(after - before) for before, after in zip(polled, polled[1:])))
try:
    token_client.get_device_code(url + "/device", client_id="cli", scope=["admin"])
except Exception as error:
    told = str(error)
    print("refused:", told.partition(" for ")[0], "for ..., Reason", told.partition("Reason ")[2])
    print("the server's own words are in it:", "not offered" in told)
PY
found=$(cd "$folder" && "$folder/venv/bin/python" login.py 2>/dev/null)
echo "$found"
[ "$found" = "seconds between polls: 1 1
refused: Unable to retrieve Device Authentication Code for ..., Reason Bad Request
the server's own words are in it: False" ]
