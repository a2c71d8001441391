"""How an attempt ended: what its pod says and what files it left, together."""

from __future__ import annotations

from artifacts.store import ObjectStore
from scheduler.attempts.judge import Showing, says_disk_full, tail_of, told_by_files
from scheduler.attempts.outcomes import USER, Outcome, failure
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.ending import Verdict
from scheduler.phases import AttemptPhase

CUTTING = frozenset({"OOMKilled", "EphemeralStorage"})  # a file that the task wrote meanwhile tells of the consequence


def judge(
    spec: AttemptSpec,
    found: Verdict,
    store: ObjectStore,
    shown: Showing,
    *,
    log_tail: str = "",
    max_deck_bytes: int = 0,
) -> Outcome:
    """Outputs that are there count, whatever became of the pod afterwards: flytekit writes them after the task's
    function has returned, in one piece. A raw container's are written beside it, by what does not know how it ended:
    they count only if it ended well and nobody cut it off. Of a job any replica may have written them: they count only
    if the whole ended well, as in Flyte. Raises what the store raises.
    """
    told = told_by_files(spec.addresses.output_prefix, store, shown, max_deck_bytes=max_deck_bytes)
    if spec.data_config is not None and (found.failed or found.cut_off):
        told = None
    if told is not None and told.phase == AttemptPhase.SUCCEEDED and spec.job is not None and found.failed:
        told = None
    if told is not None and told.phase == AttemptPhase.SUCCEEDED:
        return told
    if told is not None and not found.cut_off and found.code not in CUTTING:
        return told
    tail = tail_of(log_tail, shown)
    if not found.failed:
        if spec.data_config is not None:
            message = "the outputs of the task's container could not be kept: see the log of causeway-outputs"
            return failure("OutputsNotKept", message + tail, USER, retryable=True)
        message = "the task's process ended without writing its outputs (did it call sys.exit or os._exit?)"
        return failure("OutputsNotFound", message + tail, USER, retryable=False)
    code = "DiskFull" if found.code == "NonZeroExit" and says_disk_full(log_tail) else found.code
    message = shown(found.message)
    return failure(
        code, message + (tail if log_tail.strip() not in message else ""), found.kind, retryable=found.retryable
    )


def early(spec: AttemptSpec, store: ObjectStore, shown: Showing, *, max_deck_bytes: int = 0) -> Outcome | None:
    """What the files say as soon as the main container has ended well, a second before the pod says so."""
    if spec.data_config is not None:
        return None
    return told_by_files(spec.addresses.output_prefix, store, shown, max_deck_bytes=max_deck_bytes)
