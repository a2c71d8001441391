"""A new password by mail, for who forgot the old one. Django's views and tokens; the mail is sent by a worker.

The answer is the same whether there is such an account or not, and takes as long.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView, PasswordResetView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from kombu.exceptions import OperationalError

from audit.record import record
from console.accounts import sessions, sign_ins, throttle
from console.accounts.models import User
from console.tasks import send_password_reset


class AskForm(forms.Form):
    """As PasswordResetView uses it."""

    email = forms.EmailField(max_length=254)

    def save(self, request: HttpRequest, **_: Any) -> None:
        email = self.cleaned_data["email"]
        throttle.count(throttle.RESET, "to", email.casefold())
        throttle.count(throttle.RESET_FROM, throttle.address_of(request))
        send_password_reset.delay(email)


class Ask(PasswordResetView):
    """Only where mail is set: elsewhere an administrator gives out login links."""

    template_name = "account/password_forgotten.html"
    form_class = AskForm  # type: ignore[assignment] # it is used for what it shares with Django's
    success_url = reverse_lazy("password-asked")

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.EMAIL_HOST:
            return render(self.request, "account/password_forgotten.html", {"no_mail": True}, status=404)
        return super().dispatch(*args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            return super().form_valid(form)
        except OperationalError:  # the broker is away: said, rather than promised
            form.add_error(None, "No mail can be sent at this moment; try again in a minute.")
            return self.form_invalid(form)


@never_cache
@require_GET
def asked(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_forgotten.html", {"sent": True})


class Confirm(PasswordResetConfirmView):
    """Who followed the link. Django ends the other browsers' sessions; programs are logged out here."""

    template_name = "account/password_new.html"
    token_generator = default_token_generator
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        user: User = form.user
        with transaction.atomic():
            super().form_valid(form)
            sessions.end_all(user, actor=user.username)
            sign_ins.end_all(user, actor=user.username)
            record(user.username, "user.password", user.username, detail={"by": "mail"})
        return redirect("login")
