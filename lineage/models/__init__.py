from lineage.models.edge import ExecutionLink, LinkKind, VersionEdge, VersionRole, Via

__all__ = ["ExecutionLink", "LinkKind", "VersionEdge", "VersionRole", "Via"]
