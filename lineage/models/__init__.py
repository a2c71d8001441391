from lineage.models.edge import Derivation, ExecutionLink, LinkKind, VersionEdge, VersionRole, Via
from lineage.models.export import RunEvent, RunEventType
from lineage.models.outside import DatasetRule, OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.models.read import VersionRead

__all__ = [
    "DatasetRule",
    "Derivation",
    "ExecutionLink",
    "LinkKind",
    "OutsideDataset",
    "OutsideJob",
    "OutsideRun",
    "OutsideUse",
    "RunEvent",
    "RunEventType",
    "VersionEdge",
    "VersionRead",
    "VersionRole",
    "Via",
]
