from lineage.models.edge import Derivation, ExecutionLink, LinkKind, VersionEdge, VersionRole, Via
from lineage.models.export import RunEvent, RunEventType

__all__ = [
    "Derivation",
    "ExecutionLink",
    "LinkKind",
    "RunEvent",
    "RunEventType",
    "VersionEdge",
    "VersionRole",
    "Via",
]
