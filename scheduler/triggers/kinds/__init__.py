"""What triggers react to: each kind is a module here, and says all that is peculiar to it (`kind.Kind`).

A new kind is a new module, imported below. Everything else asks the registry.
"""

from __future__ import annotations

from scheduler.triggers.kinds.alias import ALIAS
from scheduler.triggers.kinds.asked import ASKED
from scheduler.triggers.kinds.kind import KINDS, Kind
from scheduler.triggers.kinds.published import PUBLISHED

__all__ = ["ALIAS", "ASKED", "KINDS", "PUBLISHED", "Kind"]
