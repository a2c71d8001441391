"""What waits for versions of an artifact, as SQL that both their publication and their evaluation ask."""

from __future__ import annotations

from artifacts.actions.waiting import install_waiters

# An active trigger that watches it, or a firing that lacks it; of `artifact`, a row of that table.
WAITERS = """
    EXISTS (
        SELECT FROM scheduler_triggersource AS source
        WHERE source.active AND source.alias = '' AND source.name = artifact.name
          AND source.project = artifact.project AND source.domain = artifact.domain
    )
    OR EXISTS (
        SELECT FROM scheduler_triggerfiring AS firing
        WHERE firing.outcome IN ('waiting', 'unresolved')
          AND firing.lacks @> ARRAY[artifact.project || '/' || artifact.domain || '/' || artifact.name]::varchar[]
    )
"""


def install() -> None:
    """A firing that comes to lack an artifact while a version of it is published looks for it again soon: it is not
    waited for, as triggers are that begin to watch one (switch_on).
    """
    install_waiters(WAITERS)
