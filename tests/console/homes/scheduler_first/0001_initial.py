"""As it still is."""
from __future__ import annotations

from importlib import import_module

Migration = import_module("scheduler.migrations.0001_initial").Migration
