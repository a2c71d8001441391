"""Attempts as jobs of connector services: flytekit's `pyflyte serve connector`, and whatever speaks its protocol."""
