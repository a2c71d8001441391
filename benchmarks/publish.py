"""Versions published over REST by several clients at once, one to a request and many to a request.

Each client is a process with one connection that is kept open. The figures are the clients': they include everything.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import time
from typing import Any
from urllib.parse import urlsplit

from setup import DOMAIN, PROJECT, arguments, bench, show


def client(number: int, url: str, token: str, seconds: int, batch: int, results: Any) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    place = {"project": PROJECT, "domain": DOMAIN, "name": f"bench-{number}"}
    path = f"/api/v1/artifacts/{PROJECT}/{DOMAIN}/bench-{number}/versions"
    took: list[float] = []
    until, serial = time.monotonic() + seconds, 0
    while (began := time.monotonic()) < until:
        items = [
            {"value": index, "partitions": {"region": f"r{index % 50}"}, "metrics": {"auc": index / 1000}}
            for index in range(serial, serial + batch)
        ]
        serial += batch
        body: dict[str, Any] = items[0] if batch == 1 else {"items": [{**place, **item} for item in items]}
        connection.request("POST", path if batch == 1 else "/api/v1/artifact-versions/bulk", json.dumps(body), headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 201:
            raise SystemExit(answer.decode())
        took.append((time.monotonic() - began) * 1000)
    results.put((took, serial))


def measure(url: str, token: str, clients: int, seconds: int, batch: int) -> None:
    results: Any = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=client, args=(number, url, token, seconds, batch, results))
        for number in range(clients)
    ]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    published = sum(count for _, count in found)
    name = f"{clients} clients, {batch} a request"
    show(f"{name}: {published / seconds:.0f} versions a second", [each for took, _ in found for each in took])


def main() -> None:
    asked = arguments(__doc__, clients=4, seconds=10, batch=50)
    with bench() as running:
        url, token = running.stack.http_url, running.stack.admin_token
        measure(url, token, asked.clients, 2, 1)  # warm up
        measure(url, token, asked.clients, asked.seconds, 1)
        measure(url, token, asked.clients, asked.seconds, asked.batch)


if __name__ == "__main__":
    main()
