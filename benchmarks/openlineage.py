"""OpenLineage events taken in over REST, by several senders at once, one to a request and many to a request.

Each run is a START and a COMPLETE with two datasets, their schemas and its statistics, as Spark's listener sends them;
nine in ten touch datasets that others touch too. `--rules 1` makes every output a version as well.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from setup import DOMAIN, PROJECT, arguments, bench, show

START = datetime(2026, 5, 17, tzinfo=timezone.utc)
PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/spark"
SCHEMA = {
    "_producer": PRODUCER,
    "_schemaURL": "https://openlineage.io/spec/facets/1-1-1/SchemaDatasetFacet.json",
    "fields": [{"name": f"column_{number}", "type": "string"} for number in range(12)],
}


def events_of(sender: int, serial: int) -> list[dict[str, Any]]:
    table = f"warehouse.public.t{serial % 200}" if serial % 10 else f"warehouse.private.t{sender}_{serial}"
    dataset = {"namespace": "postgres://db:5432", "facets": {"schema": SCHEMA}}
    run = {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{sender}/{serial}"))}
    told = []
    for kind, second in (("START", 0), ("COMPLETE", 1)):
        at = START + timedelta(seconds=2 * serial + second)
        output = {**dataset, "name": table}
        if kind == "COMPLETE":
            output["outputFacets"] = {"outputStatistics": {"_producer": PRODUCER, "rowCount": serial}}
        told.append(
            {
                "eventType": kind,
                "eventTime": at.isoformat(),
                "producer": PRODUCER,
                "run": run,
                "job": {"namespace": "spark", "name": f"app.job_{serial % 50}"},
                "inputs": [{**dataset, "name": f"warehouse.public.t{(serial + 7) % 200}"}],
                "outputs": [output],
            }
        )
    return told


def send(sender: int, first: int, url: str, token: str, seconds: int, batch: int, results: Any) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    path = f"/api/v1/lineage?project={PROJECT}&domain={DOMAIN}"
    took: list[float] = []
    until, serial, sent = time.monotonic() + seconds, first, 0
    while (began := time.monotonic()) < until:
        body: list[dict[str, Any]] = []
        while len(body) < batch:
            body += events_of(sender, serial)
            serial += 1
        bodies: list[Any] = list(body) if batch == 1 else [body]
        for one in bodies:
            connection.request("POST", path, json.dumps(one), headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 201:
                raise SystemExit(answer.decode())
        sent += len(body)
        took.append((time.monotonic() - began) * 1000)
    results.put((took, sent))


def measure(first: int, url: str, token: str, senders: int, seconds: int, batch: int) -> None:
    results: Any = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=send, args=(number, first, url, token, seconds, batch, results))
        for number in range(senders)
    ]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    events = sum(count for _, count in found)
    name = f"{senders} senders, {batch} a request"
    show(f"{name}: {events / seconds:.0f} events a second", [each for took, _ in found for each in took])


def main() -> None:
    asked = arguments(__doc__, senders=2, seconds=10, batch=500, rules=0)
    with bench() as running:
        url, token = running.stack.http_url, running.stack.admin_token
        if asked.rules:
            rule = {"namespace": "postgres://*", "name": "warehouse.{schema}.{table}", "artifact": "{table}"}
            place = {"project": PROJECT, "domain": DOMAIN}
            running.client.connection.call("POST", "lineage/rules", json={**place, **rule})
        measure(0, url, token, asked.senders, 2, 50)  # warm up
        measure(1_000_000, url, token, asked.senders, asked.seconds, 1)
        measure(2_000_000, url, token, asked.senders, asked.seconds, asked.batch)


if __name__ == "__main__":
    main()
