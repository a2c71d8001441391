"""Versions published over REST by several clients at once, one to a request and many to a request.

Each client is a process with one connection that is kept open. The figures are the clients': they include everything.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from setup import DOMAIN, PROJECT, arguments, bench, show

Wanted = Callable[[int, int], tuple[str, Any]]  # of a client's number and how often it has asked: path and body


def version(batch: int, number: int, asked: int) -> tuple[str, Any]:
    place = {"project": PROJECT, "domain": DOMAIN, "name": f"bench-{number}"}
    items = [
        {"value": index, "partitions": {"region": f"r{index % 50}"}, "metrics": {"auc": index / 1000}}
        for index in range(asked * batch, (asked + 1) * batch)
    ]
    if batch == 1:
        return f"/api/v1/artifacts/{PROJECT}/{DOMAIN}/bench-{number}/versions", items[0]
    return "/api/v1/artifact-versions/bulk", {"items": [{**place, **item} for item in items]}


def client(
    number: int, url: str, headers: dict[str, str], wanted: Wanted, seconds: float, most: float
) -> tuple[list[float], float, float]:
    """Milliseconds of each request, and when the first began and the last ended."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    took: list[float] = []
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds and len(took) < most:
        path, body = wanted(number, len(took))
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        answer = response.read()
        if response.status not in (200, 201):
            raise RuntimeError(f"{path}: {response.status} {answer.decode()[:2000]}")
        took.append((time.monotonic() - now) * 1000)
    return took, began, time.monotonic()


def ask(
    url: str,
    headers: dict[str, str],
    wanted: Wanted,
    clients: int,
    *,
    seconds: float = float("inf"),
    most: float = float("inf"),
) -> tuple[list[float], float]:
    """By so many clients at once, until that many seconds have passed or each has asked that often: milliseconds of
    each request, and how many were answered a second."""
    with multiprocessing.Pool(clients) as pool:
        asked = [(number, url, headers, wanted, seconds, most) for number in range(clients)]
        found = pool.starmap(client, asked, chunksize=1)
    every = [each for took, _, _ in found for each in took]
    return every, len(every) / (max(end for _, _, end in found) - min(began for _, began, _ in found))


def measure(url: str, token: str, clients: int, seconds: int, batch: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    took, rate = ask(url, headers, partial(version, batch), clients, seconds=seconds)
    show(f"{clients} clients, {batch} a request: {rate * batch:.0f} versions a second", took)


def main() -> None:
    asked = arguments(__doc__, clients=4, seconds=10, batch=50)
    with bench() as running:
        url, token = running.stack.http_url, running.stack.admin_token
        measure(url, token, asked.clients, 2, 1)  # warm up
        measure(url, token, asked.clients, asked.seconds, 1)
        measure(url, token, asked.clients, asked.seconds, asked.batch)


if __name__ == "__main__":
    main()
