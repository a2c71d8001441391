"""Folders of big packages that somebody has on this machine, and names by an environment variable: pods mount them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.conftest import beside
from tests.cluster.running import Cluster


@contextmanager
def with_operator(cluster: Cluster, name: str, package: str) -> Iterator[str]:
    """The folder with the package that CLUSTER_NAME names, while the operator of that name runs beside the cluster.
    Where there is none the tests are skipped.
    """
    variable = f"CLUSTER_{name.upper()}"
    found = os.environ.get(variable, "")
    if not cluster.ours or not (found and Path(found, package).is_dir()):
        pytest.skip(f"{variable} names no folder with {package}")
    beside("operators", "on", name)
    yield found
    beside("operators", "off")


def with_image(option: str) -> None:
    """That image of `script/cluster image` on the node."""
    beside("image", option)
    beside("load")
