"""Attempts that hand on what they take in: that needs no pod."""

from __future__ import annotations

import logging
from functools import partial

from artifacts.exceptions import CausewayError
from scheduler.attempts.echo import echo
from scheduler.attempts.outcomes import SYSTEM, failure
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.finishing import PATIENCE_SECONDS
from scheduler.executors.kubernetes.form import Form, Means
from scheduler.executors.kubernetes.held import Held

logger = logging.getLogger(__name__)


class Echoes(Form):
    def __init__(self, means: Means) -> None:
        self.means, self.board = means, means.board

    def takes(self, assignment: Assignment) -> bool:
        return assignment.spec.echo is not None

    def add(self, held: Held, spec: AttemptSpec) -> None:
        self.board.do(partial(self._echo, held))

    def _echo(self, held: Held) -> None:
        try:
            outcome = echo(held.spec, self.means.store)
        except CausewayError as error:
            outcome = failure("EchoFailed", error.message, SYSTEM, retryable=True)
        except Exception as error:  # noqa: BLE001 - whatever the store says: it is asked again
            if held.failing_for() < PATIENCE_SECONDS:
                logger.warning("%s waits for the store: %s", held.handle, error)
                self.board.later(1.0, partial(self._echo, held))
                return
            said = f"its inputs could not be handed on: {error}"
            outcome = failure("StoreUnavailable", said, SYSTEM, retryable=True)
        if self.board.to_judge(held):
            self.means.finisher.conclude(held, outcome)
