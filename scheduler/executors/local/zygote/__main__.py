"""`python <this folder> <socket fd>`: load the package under its own name and serve."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "causeway_zygote"

here = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
spec = importlib.util.spec_from_file_location(NAME, here / "__init__.py", submodule_search_locations=[str(here)])
assert spec is not None and spec.loader is not None  # noqa: S101 - a folder that holds this file has its __init__.py
package = importlib.util.module_from_spec(spec)
sys.modules[NAME] = package
spec.loader.exec_module(package)

importlib.import_module(f"{NAME}.server").main(int(sys.argv[1]))
