"""Whether a failed attempt is repeated, as a value. User and system failures have budgets of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from scheduler.engine.graph import RetryPolicy
from scheduler.engine.state import Failure

MAX_BACKOFF = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Either `retry` after `delay`, or `failure` is what the node fails with."""

    retry: bool
    delay: timedelta
    failure: Failure


def decide(policy: RetryPolicy, failure: Failure, *, user_failures: int, system_failures: int) -> RetryDecision:
    """The failures counted include this one. A user error that is not recoverable is never repeated."""
    count, budget = (system_failures, policy.system) if failure.system else (user_failures, policy.user)
    if not failure.recoverable:
        return RetryDecision(retry=False, delay=timedelta(0), failure=failure)
    if count <= budget:
        delay = min(policy.backoff * 2 ** min(count - 1, 20), MAX_BACKOFF)
        return RetryDecision(retry=True, delay=delay, failure=failure)
    kind = "SYSTEM" if failure.system else "USER"
    message = f"[{count}/{budget + 1}] currentAttempt done. Last Error: {kind}::{failure.message}"
    exhausted = replace(failure, code=f"RetriesExhausted|{failure.code}", message=message, recoverable=False)
    return RetryDecision(retry=False, delay=timedelta(0), failure=exhausted)


def is_interruptible(policy: RetryPolicy, *, system_failures: int) -> bool:
    """The last attempt that the system budget allows runs on machines that are not taken away."""
    return policy.interruptible and system_failures < policy.system
