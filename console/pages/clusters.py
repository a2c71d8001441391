"""What a cluster says of itself, and its pods that stay. Setting one: `console.pages.described`."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from console import clusters, pools
from console.pages.responses import PageRequest, page


@require_GET
@never_cache
@page
def show_overview(request: PageRequest, name: str) -> HttpResponse:
    """What the cluster says of itself: asked for by the list once it is on the page."""
    seen = clusters.overview(clusters.access_cluster(request.user, name))
    return render(request, "account/_cluster_overview.html", {"lines": seen.lines, "answers": bool(seen.version)})


@require_GET
@never_cache
@page
def show_pools(request: PageRequest, name: str) -> HttpResponse:
    """Pods that stay, how full they are, and who runs where."""
    found = clusters.access_cluster(request.user, name)
    return render(request, "account/cluster_pools.html", {"cluster": found, "seen": pools.pools(found)})
