"""Who holds an attempt in which phase, and what an observation makes of it.

              (unclaimed)      (an executor holds it: claimed_by)
UNDEFINED ->  QUEUED  ------>  INITIALIZING <-> WAITING_FOR_RESOURCES  ->  RUNNING  ->  SUCCEEDED | FAILED | ABORTED
                 |                   '--------------> (any end)               |
                 '--> FAILED | ABORTED: nobody had begun it                   '-- Progress changes no phase

INITIALIZING: the place has it or is about to; it fetches code, pulls an image, starts a process.
WAITING_FOR_RESOURCES: the place has it and no room for it: what others hold has to be given back first.
The numbers and the allowed moves are in scheduler.phases, beside those of the other machines.
"""

from __future__ import annotations

from scheduler.phases import ATTEMPT_HELD, AttemptPhase

# Nobody holds these: who wants to stop one just ends it.
UNCLAIMED = frozenset({AttemptPhase.UNDEFINED, AttemptPhase.QUEUED})
HELD = ATTEMPT_HELD  # an executor has these, and is asked to stop one
PENDING = HELD - {AttemptPhase.RUNNING}  # ... whose program does not run yet
