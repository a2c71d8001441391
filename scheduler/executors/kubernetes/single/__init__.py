"""Attempts that are a pod of their own each."""
