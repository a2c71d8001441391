"""How a pod ended, from what the cluster says of it: whose fault it was, and whether another try may help.

The order counts, and so does what is not looked at. `status.reason` goes before container states (a deadline ends
containers in three different ways); a deletion or disruption goes before the phase (a process that leaves politely
makes the pod Succeeded); the reason OOMKilled goes before exit codes (the parent of the killed process chooses those).
Only the main container is judged, except where an init container kept it from starting. Texts decide in one place
only: which evictions are the task's own fault, because nothing else tells.

Against Flyte 1.16.8 (DemystifyFailure, DeterminePrimaryContainerPhase), with the reasons:
- deleted, drained and preempted pods are system failures although they may look successful: their work is cut off;
- OOM with outputs in place is a success: a process died, but not that of the task;
- a start that fails for want of the program is not tried again: the image will not have it then either;
- an eviction for more disk than the task's own limit is the user's: on another node it would be evicted again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scheduler.attempts.frames import without_frames
from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.executors.kubernetes import kueue, names, pods
from scheduler.executors.kubernetes.pods import Json, part, text
from scheduler.executors.kubernetes.runner import start

SIGKILL, SIGTERM = 137, 143
_AS_SHELL = {247: SIGKILL, 241: SIGTERM}  # pyflyte-fast-execute ends with its child's negative code
NO_SHELL = "NoShellInImage"
OWN_EVICTIONS = (
    "exceeds the total limit of containers",
    "Usage of EmptyDir volume",
    "exceeded its local ephemeral storage limit",
)
_DISRUPTIONS = {
    "PreemptionByScheduler": ("Preempted", "the pod had to make room for one of higher priority"),
    "EvictionByEvictionAPI": ("Evicted", "the pod was evicted, as when a node is drained"),
    "DeletionByTaintManager": ("NodeLost", "the node of the pod was tainted or did not answer"),
    "DeletionByPodGC": ("NodeLost", "the node of the pod is gone"),
    "TerminationByKubelet": ("NodeShutdown", "the node ended the pod, for want of resources or to shut down"),
}
# Of status.reason: the node would not take the pod or was about to go.
_NODE = frozenset(
    {"Shutdown", "Terminated", "NodeShutdown", "NodeLost", "NodeAffinity", "Preempting", "UnexpectedAdmissionError"}
)
_NO_PROGRAM = ("no such file or directory", "executable file not found", "permission denied", "exec format error")


@dataclass(frozen=True)
class Verdict:
    """`failed` is False where the main container ended well: then the task's outputs decide."""

    code: str = ""
    message: str = ""
    kind: int = SYSTEM
    retryable: bool = True
    failed: bool = True
    cut_off: bool = False  # ended from outside: an error that the task told meanwhile is not its own
    exit_code: int | None = None  # of the main container


def timed_out(seconds: object) -> Verdict:
    """Of a task that ran for longer than it may."""
    told = f"{seconds:g}" if isinstance(seconds, float) else seconds
    words = f"the task took longer than its timeout of {told} s, counted from when its container started"
    return Verdict("TimeoutExpired", words, USER, cut_off=True)


def verdict(pod: Json, *, gone: bool = False) -> Verdict:
    """Of a pod that has ended, or is gone from the cluster with this as its last state."""
    primary = pods.primary_of(pod)
    main = pods.terminated(pods.status_of(pod, primary))
    code = _AS_SHELL.get(pods.exit_code(main), pods.exit_code(main)) if main is not None else None
    found = _from_outside(pod, code) or _kept_from_starting(pod, main) or _of_main(pod, main, primary, code)
    if found is None:
        words = "the pod is gone, and nobody saw how it ended" if gone else "the pod ended without saying why"
        found = Verdict("PodLost", _with(words, text(pod, "status", "message")), cut_off=True)
    return found


def _from_outside(pod: Json, code: int | None) -> Verdict | None:
    """Deadlines, evictions, lost nodes, deletions."""
    reason, message = text(pod, "status", "reason"), text(pod, "status", "message").strip()
    if reason == "DeadlineExceeded":
        if told := text(pod, "metadata", "annotations", names.TIMEOUT):
            return replace(timed_out(told), exit_code=code)
        seconds = part(pod, "spec").get("activeDeadlineSeconds")
        words = f"the pod's own activeDeadlineSeconds of {seconds} s, counted from when a node took it, are over"
        return Verdict("TimeoutExpired", words, USER, cut_off=True, exit_code=code)
    if reason == "Evicted" and any(sign in message for sign in OWN_EVICTIONS):
        return Verdict("EphemeralStorage", f"the task used too much disk: {message}", USER, exit_code=code)
    disruption = pods.condition(pod, "DisruptionTarget")
    if disruption.get("status") == "True":
        name, words = _DISRUPTIONS.get(text(disruption, "reason"), ("Interrupted", "the pod was ended from outside"))
        told = message or text(disruption, "message")
        return Verdict(name, _with(words, told), cut_off=True, exit_code=code)
    if reason == "Evicted":
        return Verdict("Evicted", _with("the node evicted the pod", message), cut_off=True, exit_code=code)
    if reason in _NODE or reason.startswith("OutOf"):
        return Verdict("NodeShutdown" if "Shut" in reason else reason, message or reason, cut_off=True, exit_code=code)
    if (by_kueue := kueue.evicted(pod)) is not None:
        return Verdict(*by_kueue, cut_off=True, exit_code=code)
    if part(pod, "metadata").get("deletionTimestamp"):
        words = "the pod was deleted by somebody other than Causeway"
        return Verdict("DeletedByOthers", words, cut_off=True, exit_code=code)
    return None


def _kept_from_starting(pod: Json, main: Json | None) -> Verdict | None:
    """An init container that failed: then the main one still says PodInitializing."""
    if main is not None:
        return None
    along = pods.sidecars(pod)
    for status in pods.items(pod, "status", "initContainerStatuses"):
        state, name = pods.terminated(status), text(status, "name")
        if state is None or name in along or pods.exit_code(state) == 0:
            continue
        own = name.startswith(names.OURS)
        words = _with(f"the init container {name} ended with exit code {pods.exit_code(state)}", text(state, "message"))
        if text(state, "reason") == "OOMKilled":
            return Verdict("OOMKilled", f"the init container {name} used more memory than its limit", USER)
        return Verdict("InputsNotFetched" if own else "InitContainerFailed", words, SYSTEM if own else USER)
    return None


def _of_main(pod: Json, main: Json | None, name: str, code: int | None) -> Verdict | None:
    if main is None or code is None:
        return None
    reason, message = text(main, "reason"), without_frames(text(main, "message")).strip()
    if reason == "OOMKilled":
        words = _with(f"container {name} used more memory than its limit{_limit(pod, name)}", message)
        return Verdict("OOMKilled", words, USER, failed=True, exit_code=code)
    if reason in ("StartError", "ContainerCannotRun"):
        if start.lacks_shell(words_of(pod, name), message):
            words = "the image has no /bin/sh to start flytekit with: the next try starts it without (setting `runner`)"
            return Verdict(NO_SHELL, words, SYSTEM, exit_code=code)
        words = f"the command of container {name} cannot be started: {message}"
        return Verdict("StartError", words, USER, retryable=not _lacks_program(message), exit_code=code)
    if reason == "ContainerStatusUnknown":
        return Verdict("NodeLost", _with("the node no longer knows how the container ended", message), cut_off=True)
    if code == 0:
        return Verdict(failed=False, exit_code=0)
    if code == SIGKILL:  # of OOM the reason would tell, of Causeway's own deletion the caller knows
        words = "the task's process was killed by SIGKILL (exit code 137)"
        return Verdict("Interrupted", _with(words, message), SYSTEM, exit_code=code)
    words = f"the task's process ended with exit code {code}"
    return Verdict("NonZeroExit", _with(words, message), USER, exit_code=code)


def words_of(pod: Json, container: str) -> list[str]:
    """Its command and arguments."""
    own = next((one for one in pods.items(pod, "spec", "containers") if one.get("name") == container), {})
    return [word for part_ in ("command", "args") for word in own.get(part_) or () if isinstance(word, str)]


def _lacks_program(message: str) -> bool:
    return any(sign in message for sign in _NO_PROGRAM)


def _limit(pod: Json, container: str) -> str:
    """What really was in force: a resize may have changed what the spec says."""
    told = part(pods.status_of(pod, container), "resources", "limits").get("memory")
    if not told:
        own = next((one for one in pods.items(pod, "spec", "containers") if one.get("name") == container), {})
        told = part(own, "resources", "limits").get("memory")
    return f" of {told}" if told else ""


def _with(words: str, told: str) -> str:
    return f"{words}: {told}" if told else words
