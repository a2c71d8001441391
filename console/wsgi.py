"""WSGI entry point of the web process."""

from __future__ import annotations

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
application = get_wsgi_application()

from console.checks import refuse_exposure  # noqa: E402 - needs the settings

refuse_exposure()

# What is loaded now stays for good. Left to the garbage collector, looking through it would hold up a request in some
# hundred by 75 ms.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
# A request of a large body makes a hundred thousand objects that all live until it is answered: looking at those of
# before again after every 7,000 of them, as is the default, costs more than reading the body. New ones are looked at
# after few: a query of Django leaves a hundred that refer to each other, and 20,000 at once hold a request up by 8 ms.
gc.set_threshold(2_000, 200, 20)
