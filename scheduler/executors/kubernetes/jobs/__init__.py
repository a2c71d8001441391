"""Attempts that are jobs of an operator: several pods that do one thing together."""
