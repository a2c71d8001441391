"""How views answer: the whole page or its fragment, and where a form leads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import SuspiciousOperation
from django.db import DataError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from artifacts.exceptions import UNKEEPABLE, CausewayError, NotFound, PermissionDenied, told
from console.accounts import refusals
from console.accounts.models import User

logger = logging.getLogger(__name__)

STOP_POLLING = 286
NOT_DONE = "You are not logged in, so what you sent was not done. Log in and send it once more."
P = ParamSpec("P")


class PageRequest(HttpRequest):
    """A request of somebody who is logged in, as the middleware leaves it."""

    user: User
    htmx: HtmxDetails


def page(
    view: Callable[Concatenate[PageRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """A view of the console: asks for a login, and turns our errors into pages."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        _check_characters(request, kwargs)
        try:
            return view(request, *args, **kwargs)  # type: ignore[arg-type]
        except NotFound as error:
            _note_refusal(request, error)
            raise Http404(error.message) from error
        except PermissionDenied as error:
            _note_refusal(request, error)
            return render(request, "403.html", {"message": error.message}, status=403)
        except CausewayError as error:
            return render(request, "refused.html", {"message": error.message}, status=error.http_status)
        except DataError:
            logger.warning("%s %s: refused by the database", request.method, request.path, exc_info=True)
            return render(request, "refused.html", {"message": UNKEEPABLE}, status=400)
        except OSError as error:
            if not isinstance(known := told(error), CausewayError):
                raise
            return render(request, "refused.html", {"message": known.message}, status=known.http_status)

    whole = login_required(guarded)

    @wraps(view)
    def of_somebody(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated and request.headers.get("HX-Request"):
            # A redirect would be followed unseen, and the login page put where the fragment belongs.
            return HttpResponse("log in again", status=401, content_type="text/plain")
        if not request.user.is_authenticated and request.method == "POST":
            messages.error(request, NOT_DONE)
        return whole(request, *args, **kwargs)

    of_somebody.is_page = True  # type: ignore[attr-defined]
    return of_somebody  # type: ignore[return-value]


def _note_refusal(request: HttpRequest, error: CausewayError) -> None:
    if request.method == "POST":
        refusals.note(request.user, error, f"POST {request.path}")


def _check_characters(request: HttpRequest, address: Mapping[str, object]) -> None:
    """NUL fits into no column: 400 rather than an error of the database."""
    given = [str(part) for part in address.values()]
    for form in (request.GET, request.POST):
        given += (text for name, texts in form.lists() for text in (name, *texts))
    if any("\x00" in text for text in given):
        raise SuspiciousOperation("a NUL character")


def is_fragment(request: PageRequest) -> bool:
    """Whether htmx asks for a part of the page (a boosted link wants all of it)."""
    return bool(request.htmx) and not request.htmx.boosted


def respond(
    request: PageRequest, template: str, fragment: str, context: dict[str, Any], *, live: bool = False
) -> HttpResponse:
    """The page, or the fragment for htmx; a fragment that will not change any more stops its poll."""
    if not is_fragment(request):
        return render(request, template, context)
    return render(request, fragment, context, status=200 if live else STOP_POLLING)


def attempt(request: HttpRequest, action: Callable[[], object], success: str, *, together: bool = True) -> bool:
    """Runs an action and leaves what came of it as a message. False: it was refused; the message says why.

    `together`: in one transaction, what it changes and its row in the audit trail.
    """
    try:
        with transaction.atomic() if together else nullcontext():
            action()
    except (NotFound, PermissionDenied):
        raise
    except CausewayError as error:
        messages.error(request, error.message)
        return False
    if success:
        messages.success(request, success)
    return True


def back(request: HttpRequest, fallback: str) -> HttpResponse:
    """Where the form's `next` says, as long as that is on this site."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return redirect(wanted if safe and wanted else fallback)
