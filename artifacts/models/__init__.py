from artifacts.models.alias import Alias, AliasMove
from artifacts.models.artifact import Artifact, Kind
from artifacts.models.version import ArtifactVersion, CardFormat

__all__ = ["Alias", "AliasMove", "Artifact", "ArtifactVersion", "CardFormat", "Kind"]
