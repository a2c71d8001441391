"""The board: what came of each version of the dataset at each member, computed from the rows whenever it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from artifacts.governance.pointers import candidates_of, policy_of
from artifacts.governance.policies import Policy, failing, merits
from artifacts.models import Alias, Artifact, ArtifactVersion
from artifacts.queries import MayRead
from scheduler.contests.rules import Entry, Model, Standing, best_of, winner
from scheduler.contests.runs import makers_of, runs_on
from scheduler.ledger import told_reason
from scheduler.models import Contest, Execution, FiringOutcome, TriggerFiring
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase

SHOWN = 20  # versions of the dataset
CHAMPIONS_SHOWN = 100  # of partitions, those moved last
_LIGHT = ("card", "terms", "literal", "literal_type", "metadata")
_WAITING = (FiringOutcome.WAITING, FiringOutcome.UNRESOLVED, FiringOutcome.FIRED)


@dataclass(frozen=True)
class Round:
    """A version of the dataset, what came of it at each member, and which of them won so far."""

    version: ArtifactVersion
    entries: Sequence[Entry]
    winner: Entry | None

    @property
    def has_missing(self) -> bool:
        return any(entry.standing is Standing.MISSING for entry in self.entries)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, waits or runs."""
        open_ = (Standing.MISSING, Standing.WAITING, Standing.RUNNING)
        return not any(entry.standing in open_ for entry in self.entries)


@dataclass(frozen=True)
class Board:
    """Newest first. `champions`: what the alias names, a version for each where it is kept per partition: by the keys
    `per`.
    """

    contest: Contest
    rounds: Sequence[Round]
    champions: Sequence[Alias]
    model: Artifact | None
    per: Sequence[str] = ()

    @property
    def champion(self) -> ArtifactVersion | None:
        """The one for all partitions."""
        return next((alias.version for alias in self.champions if not alias.partitions), None)

    @cached_property
    def named(self) -> set[int]:
        """Keys of the versions that the alias names."""
        return {alias.version_id for alias in self.champions}

    @property
    def leader(self) -> Entry | None:
        """The winner of the newest round that has one."""
        return next((round_.winner for round_ in self.rounds if round_.winner is not None), None)

    @property
    def leaders(self) -> Sequence[tuple[Mapping[str, str], Entry]]:
        """The winner of the newest round that has one, of each of the partitions that the alias is kept by, which the
        dataset tells; those without such partitions together.
        """
        found: dict[tuple[tuple[str, str], ...], Entry] = {}
        for round_ in self.rounds:
            of = round_.version.partitions
            values = tuple((key, of[key]) for key in self.per if key in of)
            if round_.winner is not None:
                found.setdefault(values, round_.winner)
        return [(dict(values), entry) for values, entry in found.items()]


def board_of(contest: Contest, *, may_read: MayRead, before: int | None = None, limit: int = SHOWN) -> Board:
    """The newest versions of the dataset, older than that of the id `before`. The queries are as many however many
    there are.

    Versions of what `may_read` does not allow are not shown: then there are no rounds.
    """
    versions = _versions(contest, before, limit) if may_read(contest.dataset_project, contest.dataset_domain) else []
    model = _artifact(contest.project, contest.domain, contest.model)
    pointers = Alias.objects.filter(artifact=model, name=contest.alias).select_related("version__artifact")
    champions = list(pointers.order_by("-moved_at", "-pk")[:CHAMPIONS_SHOWN])
    ids = [version.pk for version in versions]
    runs = runs_on(contest, ids)
    executions = Execution.objects.defer("spec", "task_resources", "resolution", "counters").in_bulk(
        {run for _, run, _ in runs}
    )
    policy = policy_of(model.pk, contest.alias) if model is not None else None
    models = _models(contest, model, versions, policy)
    firings = _firings(contest, ids, may_read)
    rounds = []
    for version in versions:
        entries = []
        for member in contest.members:
            own = [executions[run] for of, run, name in runs if of == version.pk and name == member]
            entries.append(_entry(contest, member, own, models, firings.get((version.pk, member))))
        rounds.append(Round(version, entries, winner(entries, contest.better)))
    return Board(contest, rounds, champions, model, policy.per if policy is not None else ())


def _artifact(project: str, domain: str, name: str) -> Artifact | None:
    return Artifact.objects.filter(project=project, domain=domain, name=name).first()


def _versions(contest: Contest, before: int | None, limit: int) -> list[ArtifactVersion]:
    rows = ArtifactVersion.objects.filter(
        artifact__project=contest.dataset_project,
        artifact__domain=contest.dataset_domain,
        artifact__name=contest.dataset_name,
        is_shadow=False,
    )
    if before is not None:
        older = ArtifactVersion.objects.filter(pk=before).values_list("created_at", flat=True).first()
        rows = rows.filter(created_at__lte=older, pk__lt=before) if older is not None else rows.none()
    return list(rows.select_related("artifact").defer(*_LIGHT).order_by("-created_at", "-pk")[:limit])


def _models(
    contest: Contest, model: Artifact | None, datasets: Sequence[ArtifactVersion], policy: Policy | None
) -> Mapping[int, list[Model]]:
    """By run, the versions of the model since the oldest of these versions of the dataset."""
    if model is None or not datasets:
        return {}
    rows = ArtifactVersion.objects.filter(
        artifact=model, is_shadow=False, created_at__gte=datasets[-1].created_at
    ).exclude(execution_key="")
    versions = list(rows.defer(*_LIGHT))
    makers = makers_of(contest, [version.pk for version in versions])
    made = [version for version in versions if version.pk in makers]
    candidates = candidates_of(policy, made, contest.alias) if policy is not None else {}
    found: dict[int, list[Model]] = {}
    for version in made:
        broken = failing(merits(policy, candidates[version.pk])) if policy is not None else []
        value = version.metrics.get(contest.metric)
        is_gone = version.removed_at is not None or version.quarantined_at is not None
        found.setdefault(makers[version.pk][0], []).append(
            Model(
                version.pk,
                version.version,
                version.created_at,
                float(value) if value is not None else None,
                tuple(clause.said for clause in broken),
                is_gone,
            )
        )
    return found


def _firings(
    contest: Contest, versions: Sequence[int], may_read: MayRead
) -> Mapping[tuple[int, str], tuple[FiringOutcome, str]]:
    """What the ledger says of each version at each member, of whichever version of the launch plan last."""
    rows = TriggerFiring.objects.filter(
        version__in=versions,
        trigger__launch_plan__project=contest.project,
        trigger__launch_plan__domain=contest.domain,
        trigger__launch_plan__name__in=contest.members,
        trigger__alias="",
    )
    only = [*("version_id", "outcome", "reason", "lacks", "trigger__launch_plan__name", "version__version")]
    only += [f"version__artifact__{name}" for name in ("project", "domain", "name")]
    found = rows.select_related("trigger__launch_plan", "version__artifact").only(*only).order_by("pk")
    return {
        (row.version_id, row.trigger.launch_plan.name): (FiringOutcome(row.outcome), told_reason(row, may_read))
        for row in found
    }


def _entry(
    contest: Contest,
    member: str,
    runs: Sequence[Execution],
    models: Mapping[int, list[Model]],
    fired: tuple[FiringOutcome, str] | None,
) -> Entry:
    made = [(model, run) for run in runs for model in models.get(run.pk, ())]
    there = [pair for pair in made if not pair[0].is_gone] or made
    best = best_of([model for model, _ in there], contest.better)
    if best is not None:
        run = next(run for model, run in there if model is best)
        standing = Standing.SCORED if best.value is not None else Standing.UNMEASURED
        reason = "" if best.value is not None else f"it has no metric '{contest.metric}'"
        return Entry(member, standing, reason, run, best, len(runs))
    newest = max(runs, key=lambda run: run.pk, default=None)
    if newest is not None:
        return Entry(member, *_of_run(newest), newest, None, len(runs))
    if fired is None:
        return Entry(member, Standing.MISSING, "its trigger did not fire for this version")
    outcome, reason = fired
    standing = Standing.WAITING if outcome in _WAITING else Standing.REFUSED
    return Entry(member, standing, reason or outcome.label.lower())


_SAID = {ExecutionPhase.UNDEFINED: "about to start", ExecutionPhase.RUNNING: ""}


def _of_run(run: Execution) -> tuple[Standing, str]:
    phase = ExecutionPhase(run.phase)
    if phase not in EXECUTION_TERMINAL:
        return Standing.RUNNING, _SAID.get(phase, phase.label.lower())
    if phase == ExecutionPhase.SUCCEEDED:
        return Standing.NOTHING, "it published no version of the model"
    return Standing.FAILED, phase.label.lower()
