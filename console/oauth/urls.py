from __future__ import annotations

from django.urls import path

from console.oauth import views

urlpatterns = [
    path("oauth2/token", views.issue_token, name="oauth-token"),
    path("oauth2/device_authorization", views.authorize_device, name="oauth-device-authorization"),
    path(".well-known/oauth-authorization-server", views.show_metadata, name="oauth-metadata"),
]
