"""Migrations as they were in earlier homes, where they were rewritten since; frozen."""
