"""Secrets that tasks ask for: names, where values are kept and found, and how a task's process gets them."""
