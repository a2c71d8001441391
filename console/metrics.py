"""`/metrics`: the figures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from artifacts.exceptions import CausewayError, Unauthenticated
from console import figures
from console.accounts import access, throttle
from console.accounts.access import Action
from scheduler.figures import LATENCY

if TYPE_CHECKING:
    from prometheus_client.core import Metric

TEXT = "text/plain; version=0.0.4; charset=utf-8"


@require_GET
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """For a token with the scope `metrics`, a platform administrator who is logged in, or everybody where
    CAUSEWAY_METRICS is `open`.
    """
    try:
        if settings.CAUSEWAY_METRICS != "open":
            _require_watcher(request)
    except CausewayError as error:
        return HttpResponse(f"{error.message}\n", status=error.http_status, content_type="text/plain; charset=utf-8")
    return HttpResponse(exposition(figures.gather()), content_type=TEXT)


def _require_watcher(request: HttpRequest) -> None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        access.require(request.user, Action.WATCH)
        return
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("the Authorization header must read: Bearer <token>")
    user = access.authenticate_token(secret.strip(), address=throttle.address_of(request))
    access.require(user, Action.WATCH)


def exposition(found: dict[str, list[figures.Sample]]) -> bytes:
    """In Prometheus's text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Once:
        def collect(self) -> Iterator[Metric]:
            for kind in figures.KINDS.values():
                if samples := found.get(kind.name):
                    yield _metric(kind, samples)

        describe = None

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def _metric(kind: figures.Kind, samples: Iterable[figures.Sample]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if kind.type == "histogram":
        histogram = HistogramMetricFamily(kind.name, kind.help, labels=kind.labels)
        for labels, (buckets, total) in histograms(samples).items():
            histogram.add_metric([value for _, value in labels], buckets, total)
        return histogram
    family = CounterMetricFamily if kind.type == "counter" else GaugeMetricFamily
    metric = family(kind.name, kind.help, labels=kind.labels)
    for sample in samples:
        metric.add_metric([value for _, value in sample.labels], sample.value)
    return metric


def histograms(samples: Iterable[figures.Sample]) -> dict[figures.Labels, tuple[list[tuple[str, float]], float]]:
    """By their labels: (upper end, how many up to there) for every end, and the sum of all values."""
    counts: dict[figures.Labels, dict[str, float]] = {}
    for sample in samples:
        last = sample.labels[-1]
        counts.setdefault(sample.labels[:-1], {})[last[1] if last[0] == "le" else "sum"] = sample.value
    found = {}
    for labels, values in counts.items():
        upto, buckets = 0.0, []
        for end in (*map(str, LATENCY), "+Inf"):
            upto += values.get(end, 0.0)
            buckets.append((end, upto))
        found[labels] = (buckets, values.get("sum", 0.0))
    return found
