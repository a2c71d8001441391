"""Warm processes that task processes are forked from.

This package has no Django and knows nothing of Causeway: it runs under the name `causeway_zygote`, so that no module of
ours can hide a user's module of the same name, and its memory is shared by every task process.
"""
