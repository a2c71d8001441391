#!/bin/sh
# kubernetes 37.0.1 (Python): a pod given as a dict with a field that the client does not know is refused by the client itself,
# before anything is sent, whatever `field_validation` says. So what a newer cluster takes, or its own PodTemplate objects hold,
# cannot be sent. And a list of events (events.k8s.io) cannot be read at all where one has `eventTime: null`, as all of the
# kubelet's have. Bodies sent and read as JSON (`ApiClient.call_api`, `_preload_content=False`) are not looked at.
#
# Seen on 2026-11-29:
#   a pod as a dict: goes through, 1 request
#   with a field that the client does not know: ValidationError (Extra inputs are not permitted), 0 requests
#   and field_validation=Ignore: ValidationError (Extra inputs are not permitted), 0 requests
#   events as the kubelet writes them: ValidationError (Input should be a valid datetime), 1 request
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet kubernetes==37.0.1 2>/dev/null
cat >"$folder/refused.py" <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from kubernetes import client

EVENT = {"metadata": {"name": "e", "namespace": "ns"}, "eventTime": None, "reason": "Pulled", "type": "Normal"}
ANSWERS = {
    "GET": {"apiVersion": "events.k8s.io/v1", "kind": "EventList", "metadata": {}, "items": [EVENT]},
    "POST": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
}
asked = []


class Api(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked.append(self.path)
        body = json.dumps(ANSWERS[self.command]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def tried(what, call):
    before = len(asked)
    try:
        call()
        said = "goes through"
    except Exception as error:
        said = f"{type(error).__name__} ({error.errors()[0]['msg']})"
    count = len(asked) - before
    print(f"{what}: {said}, {count} request{'' if count == 1 else 's'}")


server = HTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
api = client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.server_port}"))
core, spec = client.CoreV1Api(api), {"containers": [{"name": "main", "image": "i"}]}
pod = {"metadata": {"name": "p"}, "spec": spec}
newer = {"metadata": {"name": "p"}, "spec": {**spec, "fieldOfANewerCluster": True}}
tried("a pod as a dict", lambda: core.create_namespaced_pod("ns", pod))
tried("with a field that the client does not know", lambda: core.create_namespaced_pod("ns", newer))
tried("and field_validation=Ignore", lambda: core.create_namespaced_pod("ns", newer, field_validation="Ignore"))
tried("events as the kubelet writes them", lambda: client.EventsV1Api(api).list_namespaced_event("ns"))
PY
found=$("$folder/venv/bin/python" "$folder/refused.py")
echo "$found"
[ "$found" = "a pod as a dict: goes through, 1 request
with a field that the client does not know: ValidationError (Extra inputs are not permitted), 0 requests
and field_validation=Ignore: ValidationError (Extra inputs are not permitted), 0 requests
events as the kubelet writes them: ValidationError (Input should be a valid datetime), 1 request" ]
