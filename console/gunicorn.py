"""How gunicorn runs the web process; `script/up` and the image name this file and only say where to listen."""

from __future__ import annotations

import os

worker_class = "console.web.worker.Worker"
workers = int(os.environ.get("CAUSEWAY_WEB_WORKERS") or "1")
# Threads make answers and nothing else: a slow sender or reader holds none. Each may hold a session of the database.
threads = int(os.environ.get("CAUSEWAY_WEB_THREADS") or "16")
timeout = 120  # seconds a worker's loop may be silent; it turns once a second
graceful_timeout = 3  # seconds for answers that are being made when it stops
reuse_port = True
control_socket_disable = True
loglevel = "warning"
