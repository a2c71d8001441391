from lineage.models.edge import Derivation, ExecutionLink, LinkKind, VersionEdge, VersionRole, Via
from lineage.models.export import RunEvent, RunEventType
from lineage.models.read import VersionRead

__all__ = [
    "Derivation",
    "ExecutionLink",
    "LinkKind",
    "RunEvent",
    "RunEventType",
    "VersionEdge",
    "VersionRead",
    "VersionRole",
    "Via",
]
