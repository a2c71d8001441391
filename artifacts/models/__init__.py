from artifacts.models.alias import Alias, AliasMove
from artifacts.models.artifact import Artifact, Granularity, Kind, Partition
from artifacts.models.governance import (
    AliasPolicy,
    CheckResult,
    CheckRule,
    CheckStatus,
    Severity,
    VersionProfile,
)
from artifacts.models.happening import Happening
from artifacts.models.hold import Erasure, Hold
from artifacts.models.mark import Mark, PartitionsMark
from artifacts.models.retention import Removal, RetentionPolicy
from artifacts.models.version import ArtifactVersion, CardFormat, Metric

__all__ = [
    "Alias",
    "AliasMove",
    "AliasPolicy",
    "Artifact",
    "ArtifactVersion",
    "CardFormat",
    "Erasure",
    "CheckResult",
    "CheckRule",
    "CheckStatus",
    "Granularity",
    "Happening",
    "Hold",
    "Kind",
    "Mark",
    "Metric",
    "Partition",
    "PartitionsMark",
    "Removal",
    "RetentionPolicy",
    "Severity",
    "VersionProfile",
]
