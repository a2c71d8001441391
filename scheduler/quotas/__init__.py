"""Quotas and fair turns: who may start now, who waits for what, and what is held. The rules are pure (rules, turns)."""
