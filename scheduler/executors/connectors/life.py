"""An attempt's life at a connector: made once, looked at until it ends, deleted when it is to stop.

Made once: that the service is asked is written down before, and its answer before anything is done with it. Whoever
finds the first without the second does not know whether there is a job, and makes no other one unless the settings say
that it does no harm (`_answer_lost`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from flyteidl.admin import agent_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError
from artifacts.store import ObjectStore
from scheduler.attempts.echo import echo
from scheduler.attempts.judge import Showing, told_by_files
from scheduler.attempts.observations import Ended
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, aborted, failure
from scheduler.attempts.traces import trim
from scheduler.executors.connectors import results
from scheduler.executors.connectors.calls import Away, Lost, Refused
from scheduler.executors.connectors.connector import Connector
from scheduler.executors.connectors.directory import Directory, Service, Unknown
from scheduler.executors.connectors.held import Held, now
from scheduler.executors.connectors.jobs import Job
from scheduler.executors.connectors.keeping import Keeping
from scheduler.executors.connectors.requests import Order, category_of, order_of
from scheduler.phases import AttemptPhase

logger = logging.getLogger(__name__)

T = TypeVar("T")
SOON_SECONDS = 0.02  # after the first look at a job, which comes at once: the shortest pause until the next
SHARE = 0.1  # of the time that a job has taken: the pause until it is looked at again
LOOKS = 400  # a second, of all jobs together, at most: what one thread, and a service of few cores, can do
AGAIN_SECONDS, LONGEST_SECONDS = 0.5, 5.0  # between tries at a service that does not answer, or with errors
PATIENCE_SECONDS = 60.0  # for a service that answers with errors when it is asked for a job
STORE_SECONDS = 300.0  # for the store
DELETE_SECONDS = 60.0  # for a job to be deleted
HANDLE = 255  # letters
UNAVAILABLE, ERROR = "ConnectorUnavailable", "ConnectorError"


class Over(Exception):
    """It ends so."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


@dataclass(frozen=True)
class Means:
    """What lives need of their executor. `in_thread` runs what waits."""

    directory: Directory
    keeping: Keeping
    store: ObjectStore
    in_thread: Callable[..., Awaitable[Any]]
    held: Callable[[], int]  # how many attempts there are
    task_seconds: float = 0.0  # the timeout of tasks that have none of their own; 0: none
    max_deck_bytes: int = 0


class Life:
    """`live` for one attempt, in the event loop."""

    def __init__(self, means: Means, held: Held) -> None:
        self.means, self.held = means, held
        self.spec = held.assignment.spec
        self.seconds = self.spec.timeout_seconds or means.task_seconds
        self.category = agent_pb2.TaskCategory(name=self.spec.task_type)

    async def live(self) -> Ended:
        """Its end. Raises nothing but what cancels the coroutine."""
        try:
            outcome = await self._live()
        except Over as over:
            outcome = over.outcome
        except Exception as error:
            logger.exception("%s: a step failed", self.held.assignment.name)
            said = f"the connectors' executor failed at it: {type(error).__name__}: {error}"
            outcome = failure("ConnectorExecutorFailed", said, SYSTEM, retryable=True)
        started = self.held.since if self.held.runs or outcome.phase == AttemptPhase.SUCCEEDED else None
        return Ended(self.held.id, outcome, now(), started)

    async def _live(self) -> Outcome:
        if self.spec.echo is not None:
            return await self._of_store(partial(echo, self.spec))
        job = await self.means.keeping.load(self.held.id) if self.held.adopted else None
        order = await self._of_store(partial(order_of, self.spec))
        self.category = category_of(order.template)
        if job is not None and job.created_at is None:
            await self._answer_lost(await self._settings_of(job.connector), "Causeway was restarted meanwhile")
            job = None
        return await self._follow(job or await self._make(order), order)

    # --- making it ----------------------------------------------------------------------------------------------------

    async def _make(self, order: Order) -> Job:
        pause = AGAIN_SECONDS
        while True:
            service, sync = await self._service()
            try:
                async with service.creating:
                    return await self._ask(service, order, sync=sync)
            except Away as error:
                self.means.directory.in_trouble(service, str(error))
            except Lost as error:
                self.means.directory.in_trouble(service, str(error))
                await self._answer_lost(service.settings, str(error))
                await self.held.pause(pause)
                pause = min(LONGEST_SECONDS, pause * 2)

    async def _service(self) -> tuple[Service, bool]:
        """The one that makes its job, and whether that answers in one call; waits until there is one."""
        directory = self.means.directory
        while True:
            changed = directory.changed
            if self.held.cancelled:
                raise Over(aborted("cancelled"))
            try:
                return directory.route(self.category, self.spec.identity.place)
            except Away as error:
                if directory.was_asked:  # right after the start nobody had time to answer
                    self.held.says(UNAVAILABLE, str(error))
            except Unknown as error:
                raise Over(failure("NoExecutor", str(error), USER, retryable=False)) from None
            await self.held.pause(LONGEST_SECONDS if directory.was_asked else AGAIN_SECONDS, changed)

    async def _ask(self, service: Service, order: Order, *, sync: bool) -> Job:
        """Raises Away, Lost and Over."""
        if self.held.cancelled:
            raise Over(aborted("cancelled"))
        await service.calls.ready()
        job = Job(service.settings.name, sync, now())
        await self.means.keeping.keep(self.held.id, job)
        try:
            if sync:
                raise Over(await self._execute(service, job, order))
            meta = await service.calls.create(order.to_create())
        except Away:
            await self.means.keeping.keep(self.held.id, None)
            raise
        except Refused as error:
            raise Over(_refused(service, error)) from None
        job = replace(job, meta=meta, created_at=now())
        await self.means.keeping.keep(self.held.id, job)
        return job

    async def _execute(self, service: Service, job: Job, order: Order) -> Outcome:
        """Of a service that works while it is asked. Raises what the call raises, and Over."""
        self._begins(job, job.asked_at)
        self.held.starts(job.asked_at)
        call = asyncio.ensure_future(service.calls.execute(order.header(), order.inputs))
        called = asyncio.Event()
        call.add_done_callback(lambda _: called.set())
        try:
            while not call.done():
                await self.held.pause(self._left(), called)
                if self.held.cancelled:
                    raise Over(aborted("cancelled"))
                if self._left() <= 0 and not call.done():
                    raise Over(self._timed_out())
            resource = call.result()
        finally:
            call.cancel()
        await self._noted(job, resource)
        return await self._ended(resource, order)

    async def _answer_lost(self, settings: Connector, why: str) -> None:
        """Raises Over unless the service may be asked again."""
        if (told := await self._of_files()) is not None:
            raise Over(told)  # the job's own files say how it ended
        if self.spec.task_type in settings.repeatable:
            return
        said = (
            f"connector {settings.name} was asked for the job, and its answer is not known ({why}): the job may run, "
            "so it is not asked again. A task that may run twice says so by `retries`; of types in the connector's "
            "`repeatable` a job is made again"
        )
        raise Over(failure("ConnectorAnswerLost", said, USER, retryable=True))

    async def _settings_of(self, name: str) -> Connector:
        """Those of a connector that is not set any more are the defaults."""
        directory = self.means.directory
        while not directory.was_read:
            await self.held.pause(LONGEST_SECONDS, directory.changed)
        return directory.services[name].settings if name in directory.services else Connector(name=name)

    # --- looking at it ------------------------------------------------------------------------------------------------

    async def _follow(self, job: Job, order: Order) -> Outcome:
        created = job.created_at or now()
        self._begins(job, created)
        pause, failing = 0.0, 0.0
        while True:
            if pause:
                await self.held.pause(min(pause, self._left()))
            if self.held.cancelled:
                return await self._delete(job, aborted("cancelled"))
            if self._left() <= 0:
                return await self._delete(job, self._timed_out())
            try:
                service = self.means.directory.named(job.connector)
                resource = await service.calls.get(self.category, job.meta, order.prefix)
            except (Away, Lost) as error:
                self.held.says(UNAVAILABLE, f"{error}; its job is asked for again and again")
                pause = min(LONGEST_SECONDS, max(AGAIN_SECONDS, pause * 2))
                continue
            except Refused as error:
                failing = failing or time.monotonic()
                if time.monotonic() - failing > PATIENCE_SECONDS:
                    return await self._of_files() or _refused(service, error, what="cannot tell how the job is")
                self.held.says(ERROR, f"{service.calls.words} cannot tell how the job is: {_last_line(str(error))}")
                pause = min(LONGEST_SECONDS, max(AGAIN_SECONDS, pause * 2))
                continue
            failing = 0.0
            job = await self._noted(job, resource)
            if (phase := results.phase_of(resource)) in results.ENDED:
                return await self._ended(resource, order)
            self.held.accepted()
            self._tell(phase, resource.message)
            taken = (now() - created).total_seconds()
            pause = min(service.settings.poll_seconds, max(SOON_SECONDS, taken * SHARE, self.means.held() / LOOKS))

    def _begins(self, job: Job, at: Any) -> None:
        """Its handle is the same whoever finds it: of what the service calls the job only a digest, for it may be long,
        and nobody's to see.
        """
        self.held.since = at
        mark = hashlib.sha256(job.meta or self.spec.identity.name.encode()).hexdigest()[:16]
        self.held.handle = f"{job.connector}/{self.category.name}/{mark}"[-HANDLE:]

    def _tell(self, phase: AttemptPhase, message: str) -> None:
        if phase == AttemptPhase.RUNNING:
            self.held.starts(now())
            back = "its connector answers again" if self.held.said.startswith((UNAVAILABLE, ERROR)) else ""
            self.held.says("", message.strip() or back)
        else:
            code = f"Job{phase.name.title().replace('_', '')}"
            self.held.says(code, message.strip(), short=phase == AttemptPhase.WAITING_FOR_RESOURCES)

    async def _noted(self, job: Job, resource: agent_pb2.Resource) -> Job:
        """Where it can be seen is kept, when that is news."""
        links, info = results.links_of(resource), results.info_of(resource)
        noted = replace(job, links=links or job.links, info=info or job.info)
        if noted != job:
            await self.means.keeping.keep(self.held.id, noted)
        return noted

    async def _ended(self, resource: agent_pb2.Resource, order: Order) -> Outcome:
        return await self._of_store(
            lambda store: results.outcome_of(
                resource, order.prefix, order.outputs, store, max_deck_bytes=self.means.max_deck_bytes
            )
        )

    # --- stopping it --------------------------------------------------------------------------------------------------

    async def _delete(self, job: Job, outcome: Outcome) -> Outcome:
        until, pause = time.monotonic() + DELETE_SECONDS, AGAIN_SECONDS
        while True:
            try:
                await self.means.directory.named(job.connector).calls.delete(self.category, job.meta)
                return outcome
            except (Away, Lost, Refused) as error:
                said = _last_line(str(error))
                if time.monotonic() > until:
                    logger.error("%s: its job could not be deleted: %s", self.held.assignment.name, error)
                    return replace(
                        outcome, reason=f"{outcome.reason}; its job could not be deleted, and may go on: {said}"
                    )
                self.held.says(ERROR, f"its job cannot be deleted for now: {said}")
            await asyncio.sleep(pause)
            pause = min(LONGEST_SECONDS, pause * 2)

    def _left(self) -> float:
        """Seconds until its timeout is over; it counts from when the job was made."""
        if not self.seconds or self.held.since is None:
            return 86_400.0
        return self.seconds - (now() - self.held.since).total_seconds()

    def _timed_out(self) -> Outcome:
        if self.spec.timeout_seconds:
            said = f"the task's job took longer than its timeout of {self.seconds:g} s"
        else:
            said = (
                f"the task's job took longer than the {self.seconds:g} s that tasks without a timeout of their own "
                "have here (CAUSEWAY_TASK_TIMEOUT); give it one"
            )
        return failure("TimeoutExpired", said, USER, retryable=True)

    # --- the store ----------------------------------------------------------------------------------------------------

    async def _of_files(self) -> Outcome | None:
        prefix, most = self.spec.addresses.output_prefix, self.means.max_deck_bytes
        return await self._of_store(lambda store: told_by_files(prefix, store, Showing(), max_deck_bytes=most))

    async def _of_store(self, act: Callable[[ObjectStore], T]) -> T:
        """What `act` gives, which the store may keep waiting. Raises Over for what does not pass."""
        until = time.monotonic() + STORE_SECONDS
        while True:
            try:
                found: T = await self.means.in_thread(act, self.means.store)
                return found
            except (CausewayError, DecodeError, KeyError) as error:
                said = error.message if isinstance(error, CausewayError) else repr(error)
                raise Over(
                    failure("BadAttempt", f"what the task needs cannot be read: {said}", SYSTEM, retryable=True)
                ) from None
            except Exception as error:  # noqa: BLE001 - whatever the store says: it is asked again
                if time.monotonic() > until:
                    said = f"the store does not answer: {error}"
                    raise Over(failure("StoreUnavailable", said, SYSTEM, retryable=True)) from None
                logger.warning("%s waits for the store: %s", self.held.assignment.name, error)
                self.held.says("StoreUnavailable", str(error))
                await asyncio.sleep(AGAIN_SECONDS)


def _refused(service: Service, error: Refused, what: str = "could not make the job") -> Outcome:
    """The connector's own code failed: that is the task's, or the service's set-up's, and may be repeated as the task
    says.
    """
    code = "ConnectorNotFound" if error.unknown else ERROR
    said = f"{service.calls.words} {what}: {trim(str(error))}"
    return failure(code, said, USER, retryable=True)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].strip(" .") or text.strip()
