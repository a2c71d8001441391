from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from artifacts.models import ArtifactVersion, Happening
from scheduler.models.contest import Contest
from scheduler.models.execution import Execution
from scheduler.models.registry import LaunchPlan
from scheduler.phases import FiringOutcome


class TriggerMode(models.TextChoices):
    """ANY: each version of a watched artifact fires. ALL: a round of one version of each fires once."""

    ANY = "any"
    ALL = "all"


class OnLimit(models.TextChoices):
    """What happens to a firing that finds a limit reached."""

    QUEUE = "queue"  # waits for its turn, oldest first
    SKIP = "skip"  # never launches
    REPLACE = "replace"  # aborts the oldest running execution and takes its place


class Backlog(models.TextChoices):
    """What a paused trigger does with what is published meanwhile."""

    KEEP = "keep"
    DROP = "drop"


class Trigger(models.Model):
    """`OnArtifact` of one launch plan version: which artifacts it watches, and how each input is found.

    The artifact columns repeat its first source. The limits are the program's unless `limits_by` names who set them.
    """

    launch_plan = models.OneToOneField(LaunchPlan, on_delete=models.CASCADE, related_name="trigger")
    artifact_project = models.CharField(max_length=64)
    artifact_domain = models.CharField(max_length=64)
    artifact_name = models.CharField(max_length=255)
    partitions = models.JSONField(default=dict)  # only versions with these values fire; empty: any
    condition = models.BinaryField()  # the launch_conditions payload, as sent
    active = models.BooleanField(default=False)  # follows the launch plan's state, in the same transaction
    activated_at = models.DateTimeField(null=True)  # versions published before this do not fire
    # Who activated the launch plan last: it launches by that name and with those rights (scheduler.vouching)
    activated_by = models.CharField(max_length=150, blank=True, default="")
    activated_project = models.CharField(max_length=64, blank=True, default="")  # as principal_project
    kind = models.CharField(max_length=16, default="published", db_default="published")  # scheduler.triggers.kinds
    alias = models.CharField(max_length=64, blank=True, default="")  # fires when it moves, not for publications
    needs_checks = models.BooleanField(default=False)  # versions wait until their checks passed
    # That gave it to a launch plan which had none (scheduler.contests.members); empty: the program's own
    contest = models.ForeignKey(Contest, null=True, on_delete=models.PROTECT, related_name="triggers")
    mode = models.CharField(max_length=4, choices=TriggerMode.choices, default=TriggerMode.ANY)
    join_on = models.JSONField(default=list)  # what the versions of a round share: partition keys, "time_partition"
    window_seconds = models.FloatField(null=True)  # how long a round waits, from its first version's publication on
    rate_count = models.IntegerField(null=True)  # at most so many launches ...
    rate_seconds = models.FloatField(null=True)  # ... in so many seconds
    max_concurrent = models.IntegerField(null=True)  # at most so many unfinished triggered executions
    on_limit = models.CharField(max_length=8, choices=OnLimit.choices, default=OnLimit.QUEUE)
    newest_only = models.BooleanField(default=False)  # of what waits, the newest version of each partition launches
    limits_by = models.CharField(max_length=150, blank=True, default="")
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    backlog = models.CharField(max_length=4, choices=Backlog.choices, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["artifact_name", "artifact_project", "artifact_domain"],
                name="trigger_active",
                condition=Q(active=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.launch_plan} on {self.artifact_name}"

    @property
    def is_limited(self) -> bool:
        return self.rate_count is not None or self.max_concurrent is not None or self.newest_only

    @property
    def is_guarded(self) -> bool:
        """Whether its firings go one by one, under this row's lock: what came before decides what a version does."""
        return self.mode == TriggerMode.ALL or self.is_limited or self.paused_at is not None


class TriggerSource(models.Model):
    """One artifact that a trigger watches. Matching a version is a look-up in the index of the active ones."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="sources", db_index=False)
    position = models.IntegerField()
    project = models.CharField(max_length=64)
    domain = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    partitions = models.JSONField(default=dict)  # only versions with these values fire; empty: any
    time_partition = models.DateTimeField(null=True)  # only versions of this one fire; None: any
    active = models.BooleanField(default=False)  # as its trigger's
    alias = models.CharField(max_length=64, blank=True, default="")  # fires when it moves, not for publications

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trigger", "position"], name="source_unique")]
        indexes = [models.Index(fields=["name", "project", "domain"], name="source_active", condition=Q(active=True))]
        ordering = ["position"]

    def __str__(self) -> str:
        where = self.conditions
        name = f"{self.project}/{self.domain}/{self.name}" + (f":{self.alias}" if self.alias else "")
        return name + (f" with {where}" if where else "")

    @property
    def conditions(self) -> str:
        """`region=SEA, time partition 2026-01-01T00:00:00Z`; empty when any version fires."""
        said = [f"{key}={value}" for key, value in sorted(self.partitions.items())]
        if self.time_partition is not None:
            said.append(f"time partition {self.time_partition:%Y-%m-%dT%H:%M:%SZ}")
        return ", ".join(said)

    def takes(self, version: ArtifactVersion) -> bool:
        return (
            version.artifact.key == (self.project, self.domain, self.name)
            and all(version.partitions.get(key) == value for key, value in self.partitions.items())
            and self.time_partition in (None, version.time_partition)
        )


class TriggerRound(models.Model):
    """Versions that a trigger on all of several artifacts collects: at most one open round for each key."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="rounds", db_index=False)
    key = models.CharField(max_length=32)  # digest of `values`
    values = models.JSONField(default=dict)  # what the versions share
    opened_at = models.DateTimeField()  # publication of its first version
    expires_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)  # complete, expired, or the launch plan was deactivated
    # Of a complete round, the firing that completed it: it launches, and what comes of it is written on the others.
    head = models.ForeignKey("TriggerFiring", null=True, on_delete=models.PROTECT, related_name="+")
    # Of a complete round, {position of a source: firing} for versions that belong to others too: the day of an hour.
    standing = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["trigger", "key"], name="round_open_unique", condition=Q(closed_at__isnull=True)
            )
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="round_expiry", condition=Q(closed_at__isnull=True)),
            models.Index(fields=["trigger", "key", "-closed_at"], name="round_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_id} x {self.values}"


class TriggerFiring(models.Model):
    """The ledger: one row for each (trigger, happening), with what came of it and why.

    Of publications from before happenings were kept, one for each (trigger, version).
    """

    trigger = models.ForeignKey(Trigger, on_delete=models.PROTECT, related_name="firings", db_index=False)
    happening = models.ForeignKey(Happening, null=True, on_delete=models.PROTECT, related_name="firings")
    version = models.ForeignKey(ArtifactVersion, on_delete=models.PROTECT, related_name="firings")
    outcome = models.CharField(max_length=12, choices=FiringOutcome.choices)
    reason = models.TextField(blank=True, default="")
    execution = models.ForeignKey(Execution, null=True, on_delete=models.PROTECT, related_name="firings")
    resolution = models.JSONField(default=dict)  # {input: {"via", "artifact", "version", "version_id", "explanation"}}
    published_at = models.DateTimeField()
    at = models.DateTimeField()
    latency_ms = models.FloatField(null=True)  # version published -> execution launched
    # Artifacts (`project/domain/name`) whose next version makes another try worth while; empty: none would.
    lacks = ArrayField(models.CharField(max_length=400), default=list, blank=True)
    tries = models.IntegerField(default=1)
    retry_at = models.DateTimeField(null=True)  # after a passing fault (a store out of reach), try again then
    # 1 + that of the firing which started the version's producer: how long the chain of reactions is by now.
    generation = models.IntegerField(default=1)
    # The firing that the chain began with (empty on that one); on that one, when the chain was stopped for growing.
    root = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    stopped_at = models.DateTimeField(null=True)
    round = models.ForeignKey(TriggerRound, null=True, on_delete=models.PROTECT, related_name="firings")
    queued = models.BooleanField(default=False)  # waits for its turn; of a round, the version that completed it
    held = models.BooleanField(default=False)  # until the version's checks have passed
    # What it was before, oldest first: [{"outcome", "at", "reason", "lacks"}], by scheduler.triggers.moves alone
    history = models.JSONField(default=list, db_default=[])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trigger", "happening"], name="firing_of_happening"),
            models.UniqueConstraint(
                fields=["trigger", "version"], name="firing_unique", condition=Q(happening__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["trigger", "-at"], name="firing_recent"),
            models.Index(fields=["trigger", "published_at", "id"], name="firing_queue", condition=Q(queued=True)),
            models.Index(fields=["outcome", "-at"], name="firing_outcome"),
            models.Index(fields=["-at", "-id"], name="firing_recent_all"),
            models.Index(fields=["id"], name="firing_open", condition=Q(outcome__in=["waiting", "unresolved"])),
            models.Index(fields=["version"], name="firing_held", condition=Q(held=True)),
            models.Index(fields=["retry_at"], name="firing_retry", condition=Q(retry_at__isnull=False)),
            GinIndex(fields=["lacks"], name="firing_lacks", condition=Q(outcome__in=["waiting", "unresolved"])),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_id} x {self.version_id}: {self.outcome}"
