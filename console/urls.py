"""Root URLs. Each door brings its own `urls.py`; this file only says where it hangs."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("console.accounts.urls")),
]
