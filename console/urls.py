"""Root URLs. Each door brings its own `urls.py`; this file only says where it hangs."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from console import health, metrics
from console.rest.hooks import TakeView

admin.autodiscover()
urlpatterns = [
    path("api/", include("console.rest.urls")),  # first, as it is asked most
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.show),
    path("hooks/<str:key>", TakeView.as_view(), name="take-hook"),
    path("", include("console.oauth.urls")),
    path("", include("console.objects")),
    path("", include("console.card_images")),
    path("", include("console.accounts.urls")),
    path("", include("console.pages.urls")),
]

handler400 = "console.pages.errors.bad_request"
handler403 = "console.pages.errors.forbidden"
handler404 = "console.pages.errors.not_found"
