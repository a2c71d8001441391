"""Pods that stay: tasks of one shape run in them one after the other, each in a fork (decisions/reused-pods.md)."""
