from artifacts.models.alias import Alias, AliasMove
from artifacts.models.artifact import Artifact, Granularity, Kind, Partition
from artifacts.models.happening import Happening
from artifacts.models.retention import Removal, RetentionPolicy
from artifacts.models.version import ArtifactVersion, CardFormat, Metric

__all__ = [
    "Alias",
    "AliasMove",
    "Artifact",
    "ArtifactVersion",
    "CardFormat",
    "Granularity",
    "Happening",
    "Kind",
    "Metric",
    "Partition",
    "Removal",
    "RetentionPolicy",
]
