"""Checks whose judge is a task or launch plan of the user's (a check of the kind `program`).

`declaring` finds what is to judge and makes the launch plan that does, with the version among its inputs; `asking`
launches it for each `check.asked`, by a firing like any trigger's; `settling` makes a verdict of its end. `answers` is
pure: which outputs are an answer, and what they say.
"""
