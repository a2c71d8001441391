"""Whether a version is good enough, and for which aliases: checks, policies, pointers.

`kinds` and `policies` are pure: what a rule says and what follows from facts. `checks`, `pointers` and `falling_back`
ask the database for the facts, and write what came of them.
"""
