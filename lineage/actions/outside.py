"""Events of other systems are taken in: many at once, in any order, as often as they come.

What they say together is folded first (lineage.outside.folding), then merged with what is kept: some statements for a
batch, whatever its size. Rows are locked in one order, so that senders side by side wait for each other at most.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from lineage.actions.outside_versions import Publish, publish_outputs
from lineage.outside.events import Event, Name, Role, RunState
from lineage.outside.facets import Facets, loaded, merge, stored
from lineage.outside.folding import Folded, Run, Thing, UseKey, fold
from lineage.statements import rows_of, run_columns

Place = tuple[str, str]  # project, domain


@dataclass(frozen=True)
class Sender:
    """Who sends, and what he may: `publish` is asked for versions, `readable` about places that a dataset leads to."""

    publish: Publish
    readable: Callable[[str, str], bool]


def take_in(events: Sequence[Event], place: Place, *, sender: Sender) -> int:
    """Keep what the events say, in the place; the number of versions that came of them. All of it, or nothing.

    What a naming rule makes of an output, and why it could not, is kept with it: no event is refused for that.
    """
    folded = fold(events)
    with transaction.atomic():
        jobs, old_jobs = _begun(_JOBS, place, folded.jobs)
        datasets, old_datasets = _begun(_DATASETS, place, folded.datasets)
        runs = _runs(place, folded.runs, jobs)
        _uses(folded, jobs, datasets, runs)
        _find_own(folded, datasets, runs, sender)
        made = publish_outputs(place, list(runs.values()), publish=sender.publish)
        # What many runs share is changed last, so that senders wait for each other as shortly as can be.
        _refresh(_JOBS, old_jobs)
        _refresh(_DATASETS, old_datasets)
        return made


@dataclass(frozen=True)
class _Table:
    """Statements about jobs or about datasets."""

    insert: str
    find: str
    lock: str
    update: str


_JOBS = _Table(
    insert="""
INSERT INTO lineage_outsidejob (project, domain, key, namespace, name, facets, seen_at)
SELECT %s, %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[]) AS new(key)
ORDER BY key ON CONFLICT DO NOTHING RETURNING key, id
""",
    find="SELECT key, id FROM lineage_outsidejob WHERE project = %s AND domain = %s AND key = ANY(%s)",
    lock="SELECT id, facets, seen_at FROM lineage_outsidejob WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
    update="""
UPDATE lineage_outsidejob AS kept SET facets = new.facets, seen_at = new.seen_at
FROM unnest(%s::bigint[], %s::jsonb[], %s::timestamptz[]) AS new(id, facets, seen_at) WHERE kept.id = new.id
""",
)
_DATASETS = _Table(
    *(one.replace("outsidejob", "outsidedataset") for one in (_JOBS.insert, _JOBS.find, _JOBS.lock, _JOBS.update))
)


def _begun(table: _Table, place: Place, things: Mapping[str, Thing]) -> tuple[dict[str, int], dict[int, Thing]]:
    """The ids by key, and those that were there before, with what is told of them now."""

    def find(keys: Collection[str]) -> dict[str, int]:
        return dict(rows_of(table.find, [*place, list(keys)])) if keys else {}

    old = find(things.keys())
    rows = [
        (key, one.name.namespace, one.name.name, stored(one.facets), one.seen_at)
        for key, one in things.items()
        if key not in old
    ]
    new = dict(run_columns(table.insert, rows, before=place))
    old |= find(things.keys() - old.keys() - new.keys())  # begun by another sender this very moment
    return {**old, **new}, {pk: things[key] for key, pk in old.items()}


def _refresh(table: _Table, things: Mapping[int, Thing]) -> None:
    changed = []
    for pk, facets, seen_at in rows_of(table.lock, [list(things)]) if things else ():
        before = Thing(things[pk].name, loaded(facets), seen_at)
        after = before | things[pk]
        if after != before:
            changed.append((pk, stored(after.facets), after.seen_at))
    run_columns(table.update, changed)


_NEW_RUNS = """
INSERT INTO lineage_outsiderun
    (project, domain, run_id, job_id, parent, state, state_at, first_at, started_at, ended_at, seen_at, facets)
SELECT %s, %s, * FROM unnest(
    %s::uuid[], %s::bigint[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::timestamptz[], %s::jsonb[]
) AS new(run_id)
ORDER BY run_id ON CONFLICT DO NOTHING RETURNING run_id, id
"""
_LOCK_RUNS = """
SELECT run.run_id, run.id, job.key, run.state, run.state_at, run.first_at, run.seen_at, run.started_at, run.facets,
       run.parent
FROM lineage_outsiderun AS run JOIN lineage_outsidejob AS job ON job.id = run.job_id
WHERE run.project = %s AND run.domain = %s AND run.run_id = ANY(%s)
ORDER BY run.run_id FOR NO KEY UPDATE OF run
"""
_CHANGE_RUNS = """
UPDATE lineage_outsiderun AS kept
SET job_id = new.job_id, parent = new.parent, state = new.state, state_at = new.state_at, first_at = new.first_at,
    started_at = new.started_at, ended_at = new.ended_at, seen_at = new.seen_at, facets = new.facets
FROM unnest(
    %s::bigint[], %s::bigint[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::timestamptz[], %s::jsonb[]
) AS new(id, job_id, parent, state, state_at, first_at, started_at, ended_at, seen_at, facets)
WHERE kept.id = new.id
"""
_MOVE_READS = """
UPDATE lineage_outsideuse AS kept SET read_at = new.began
FROM unnest(%s::bigint[], %s::timestamptz[]) AS new(run, began)
WHERE kept.run_id = new.run AND kept.role = 'input'
"""


def _runs(place: Place, runs: Mapping[uuid.UUID, Run], jobs: Mapping[str, int]) -> dict[uuid.UUID, int]:
    """The ids by the runs' own. A run that two jobs claim belongs to the one whose key is the smaller."""
    if not runs:
        return {}
    ids = dict(run_columns(_NEW_RUNS, [(key, *_columns(run, jobs)) for key, run in runs.items()], before=place))
    present = [key for key in runs if key not in ids]
    changed, moved = [], []
    for key, pk, *kept in rows_of(_LOCK_RUNS, [*place, present]) if present else ():
        ids[key] = pk
        before = _kept_run(*kept)
        after = before | runs[key]
        if after != before:
            changed.append((pk, *_columns(after, jobs if after.job in jobs else _job_ids(place, after.job))))
        if after.began_at != before.began_at:
            moved.append((pk, after.began_at))
    run_columns(_CHANGE_RUNS, changed)
    run_columns(_MOVE_READS, moved)
    return ids


def _columns(run: Run, jobs: Mapping[str, int]) -> tuple[object, ...]:
    return (
        jobs[run.job],
        run.parent,
        run.state.value,
        run.state_at,
        run.first_at,
        run.started_at,
        run.ended_at,
        run.seen_at,
        stored(run.facets),
    )


def _kept_run(
    job: str,
    state: str,
    state_at: datetime,
    first_at: datetime,
    seen_at: datetime,
    started_at: datetime | None,
    facets: str,
    parent: uuid.UUID | None,
) -> Run:
    return Run(job, RunState(state), state_at, first_at, seen_at, started_at, loaded(facets), parent)


def _job_ids(place: Place, key: str) -> dict[str, int]:
    return dict(
        rows_of("SELECT key, id FROM lineage_outsidejob WHERE project = %s AND domain = %s AND key = %s", [*place, key])
    )


# Of a run's use the run tells the job; a use without a run is one of the job itself.
_NEW_USES = """
INSERT INTO lineage_outsideuse (job_id, run_id, dataset_id, role, facets, refusal, read_at)
SELECT coalesce(run.job_id, new.job), new.run, new.dataset, new.role, new.facets, '',
    CASE WHEN new.role = 'input' THEN coalesce(run.started_at, run.first_at) END
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::jsonb[]) AS new(job, run, dataset, role, facets)
LEFT JOIN lineage_outsiderun AS run ON run.id = new.run
ORDER BY new.run, new.job, new.dataset, new.role
ON CONFLICT DO NOTHING RETURNING job_id, run_id, dataset_id, role
"""
_LOCK_USES = """
SELECT kept.id, CASE WHEN kept.run_id IS NULL THEN kept.job_id END, kept.run_id, kept.dataset_id, kept.role, kept.facets
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[]) AS asked(job, run, dataset, role)
JOIN lineage_outsideuse AS kept ON kept.dataset_id = asked.dataset AND kept.role = asked.role
    AND (kept.run_id = asked.run OR (asked.run IS NULL AND kept.run_id IS NULL AND kept.job_id = asked.job))
ORDER BY kept.id FOR NO KEY UPDATE OF kept
"""
_CHANGE_USES = """
UPDATE lineage_outsideuse AS kept SET facets = new.facets
FROM unnest(%s::bigint[], %s::jsonb[]) AS new(id, facets) WHERE kept.id = new.id
"""
_UseIds = tuple[int | None, int | None, int, str]  # job, run, dataset, role


def _uses(folded: Folded, jobs: Mapping[str, int], datasets: Mapping[str, int], runs: Mapping[uuid.UUID, int]) -> None:
    def ids(key: UseKey) -> _UseIds:
        job, run, dataset, role = key
        return jobs.get(job), runs[run] if run is not None else None, datasets[dataset], role.value

    wanted: dict[_UseIds, Facets] = {ids(key): facets for key, facets in folded.uses.items()}
    if not wanted:
        return
    made = run_columns(_NEW_USES, [(*key, stored(facets)) for key, facets in wanted.items()])
    new = {(None if run is not None else job, run, dataset, role) for job, run, dataset, role in made}
    present = [key for key in wanted if key not in new]
    changed = []
    for pk, *key, kept in run_columns(_LOCK_USES, present):
        before = loaded(kept)
        after = merge(before, wanted[key[0], key[1], key[2], key[3]])
        if after != before:
            changed.append((pk, stored(after)))
    run_columns(_CHANGE_USES, changed)


# Datasets in a namespace of ours are our artifacts; which version, their facet tells, as our own events have it.
_OWN = """
UPDATE lineage_outsideuse AS kept SET version_id = version.id
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS found(run, dataset, project, domain, name, version)
JOIN artifacts_artifact AS artifact
    ON artifact.project = found.project AND artifact.domain = found.domain AND artifact.name = found.name
JOIN artifacts_artifactversion AS version ON version.artifact_id = artifact.id AND version.version = found.version
WHERE kept.run_id = found.run AND kept.dataset_id = found.dataset AND kept.version_id IS NULL AND kept.role = 'input'
"""


def _find_own(folded: Folded, datasets: Mapping[str, int], runs: Mapping[uuid.UUID, int], sender: Sender) -> None:
    rows = []
    for (_, run, key, role), facets in folded.uses.items():
        place = own_place(folded.datasets[key].name)
        if run is None or role is not Role.INPUT or place is None or "version" not in facets:
            continue
        said = facets["version"].value
        version = said.get("datasetVersion") if isinstance(said, dict) else None
        if isinstance(version, str) and sender.readable(*place):
            rows.append((runs[run], datasets[key], *place, folded.datasets[key].name.name, version))
    run_columns(_OWN, rows)


def own_place(dataset: Name) -> Place | None:
    """Project and domain of a dataset that is an artifact of ours, as we name them to others."""
    root, *parts = dataset.namespace.rsplit("/", 2)
    if root != settings.CAUSEWAY_OPENLINEAGE_NAMESPACE or len(parts) != 2:
        return None
    return parts[0], parts[1]
