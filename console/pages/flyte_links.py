"""The addresses that flytekit prints: it builds them for Flyte's own console, so they lead to our pages."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from django.views.generic import RedirectView


class ToEntity(RedirectView):
    """Our page of a name shows all its versions."""

    def get_redirect_url(self, *args: Any, **kwargs: Any) -> str | None:
        kwargs.pop("version")
        return super().get_redirect_url(*args, **kwargs)


_SCOPE = "console/projects/<str:project>/domains/<str:domain>"
_ENTITIES = {"workflow": "workflow", "task": "task", "launch_plan": "launch-plan"}

urlpatterns: list[URLPattern] = [
    path(f"{_SCOPE}/executions/<str:name>", RedirectView.as_view(pattern_name="execution")),
    *[
        path(f"{_SCOPE}/{kind}/<path:name>/version/<path:version>", ToEntity.as_view(pattern_name=page))
        for kind, page in _ENTITIES.items()
    ],
]
