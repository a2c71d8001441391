# mypy: ignore-errors
"""The program of `shop_program` launched for each region by a plan of its own, as users write it."""

from __future__ import annotations

from flytekit import LaunchPlan

from tests.console.pages.shop_program import count_sales, sell

__all__ = ["count_sales", "sell"]

SEA = LaunchPlan.get_or_create(workflow=sell, name="sell_sea", fixed_inputs={"region": "SEA"})
LAX = LaunchPlan.get_or_create(workflow=sell, name="sell_lax", fixed_inputs={"region": "LAX"})
