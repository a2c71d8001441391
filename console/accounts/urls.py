from __future__ import annotations

from django.urls import path

from console.accounts.views import login_link

urlpatterns = [path("login/link/<str:secret>", login_link, name="login-link")]
