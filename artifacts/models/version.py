from __future__ import annotations

from collections.abc import Mapping

from django.contrib.postgres.indexes import GinIndex, HashIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q

from artifacts.models.artifact import Artifact, Kind
from artifacts.periods import shown_partitions
from artifacts.producers import MAX_PRODUCER


class CardFormat(models.TextChoices):
    MARKDOWN = "markdown", "Markdown"
    HTML = "html", "HTML"


class ArtifactVersion(models.Model):
    """One immutable publication of an artifact.

    `version` is `<execution>.<node>.<attempt>.<output>` for what a task or workflow published, so that a repeated
    report finds the first one. Nothing here changes after insert but `triggers_evaluated_at`, the scheduler's
    bookkeeping, `quarantined_at` and `removed_at`.
    """

    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="versions", db_index=False)
    version = models.CharField(max_length=400)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    literal = models.BinaryField()  # flyteidl.core.Literal
    literal_type = models.BinaryField()  # flyteidl.core.LiteralType
    uri = models.TextField(blank=True, default="")  # where the offloaded data lies; empty for inline values
    size_bytes = models.BigIntegerField(null=True)
    content_hash = models.CharField(max_length=128, blank=True, default="")

    partitions = models.JSONField(default=dict)  # {key: value}, exactly the artifact's partition_keys
    partition_digest = models.CharField(max_length=32)  # of `partitions`: makes any set of keys one index lookup
    time_partition = models.DateTimeField(null=True)  # truncated to the artifact's granularity, UTC

    # The opaque key of the producing execution (`project/domain/name`), empty for what came from outside.
    execution_key = models.CharField(max_length=255, blank=True, default="")
    node_id = models.CharField(max_length=255, blank=True, default="")
    attempt = models.IntegerField(null=True)
    output = models.CharField(max_length=255, blank=True, default="")
    producer = models.CharField(max_length=MAX_PRODUCER, blank=True, default="")  # see artifacts.producers
    created_by = models.CharField(max_length=150, blank=True, default="")

    card_format = models.CharField(max_length=16, choices=CardFormat.choices, blank=True, default="")
    card = models.TextField(blank=True, default="")  # as written by the user; sanitised when shown
    card_uri = models.TextField(blank=True, default="")  # instead of `card` when it is large
    metadata = models.JSONField(default=dict)  # {str: str}
    metrics = models.JSONField(default=dict)  # {str: number}
    # Words of the card, producer, attributes and partition values, as artifacts.terms makes them: what search looks in.
    terms = SearchVectorField(null=True)
    # The version whose data this one is, published again under another name (an approved model is the model).
    same_data_as = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="republished")

    created_at = models.DateTimeField()
    triggers_evaluated_at = models.DateTimeField(null=True)
    quarantined_at = models.DateTimeField(null=True)  # turned out bad: queries pass it over unless asked
    # Output of a run beside production: passed over as what is quarantined, and that for ever (artifacts.shadows)
    is_shadow = models.BooleanField(default=False, db_default=False)
    removed_at = models.DateTimeField(null=True)  # its data is gone (see Removal): no query finds it, lineage shows it

    has_new_name = False  # of a row being published: its version was made up, so nobody else has it
    reports: Mapping[str, Mapping[str, object]] = {}  # of a row being published: what is said of its checks, by name

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["artifact", "version"], name="artifact_version_unique"),
        ]
        indexes = [
            models.Index(fields=["artifact", "-created_at", "-id"], name="version_newest"),
            models.Index(fields=["artifact", "partition_digest", "-created_at", "-id"], name="version_slice"),
            models.Index(
                fields=["artifact", "partition_digest", "time_partition", "-created_at", "-id"],
                name="version_slice_time",
                condition=Q(time_partition__isnull=False),
            ),
            models.Index(
                fields=["artifact", "time_partition", "-created_at", "-id"],
                name="version_time",
                condition=Q(time_partition__isnull=False),
            ),
            models.Index(fields=["execution_key"], name="version_execution"),
            models.Index(fields=["kind", "-created_at", "-id"], name="version_kind"),
            models.Index(fields=["-created_at", "-id"], name="version_recent"),
            models.Index(fields=["id"], name="version_untriggered", condition=Q(triggers_evaluated_at__isnull=True)),
            models.Index(fields=["-created_at", "-id"], name="version_removed", condition=Q(removed_at__isnull=False)),
            # Whether an artifact has lost any: of one that has not, versions are counted without reading them.
            models.Index(fields=["artifact"], name="version_removed_of", condition=Q(removed_at__isnull=False)),
            HashIndex(fields=["uri"], name="version_uri", condition=~Q(uri="")),
            GinIndex(fields=["terms"], name="version_terms"),
            GinIndex(fields=["partitions"], name="version_partitions", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.artifact}@{self.version}"

    @property
    def shown_partitions(self) -> list[tuple[str, str]]:
        """With the time, as people name it."""
        granularity = self.artifact.granularity if self.time_partition is not None else 0
        return shown_partitions(self.partitions, self.time_partition, granularity)


class Metric(models.Model):
    """One number of a version's `metrics`, as a row of its own: ranges of it are searched and sorted by index."""

    version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="metric_rows", db_index=False)
    name = models.CharField(max_length=255)
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="metric_unique")]
        indexes = [models.Index(fields=["name", "value", "version"], name="metric_order")]

    def __str__(self) -> str:
        return f"{self.name}={self.value}"
