"""Champion and challengers: launch plans that train on one dataset, kept in step by their triggers, and who leads.

Pure: `rules`. Around it: `members` (who takes the dataset), `board` (what came of each version), `champion` (who takes
the place of whom by itself), `shadows` (challengers run beside production).
"""
