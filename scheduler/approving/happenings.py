"""What happens around decisions, beside that they are made (artifacts.happenings)."""

from __future__ import annotations

from artifacts.happenings import register

ESCALATED = register("gate.escalated", "was asked of others too")
PROMOTED = register("version.promoted", "was promoted")
PROMOTION_ASKED = register("promotion.asked", "was asked to be promoted")
PROMOTION_REJECTED = register("promotion.rejected", "was not promoted")
