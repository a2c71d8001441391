"""The how-to pages and the articles' patterns are programs: files are written, commands run, on a real Causeway."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import RunningStack

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs/howto").glob("*.md")), ROOT / "docs/from-the-articles.md"]
# Their commands want a cluster of their reader's: tests/scheduler/executors/kubernetes/test_how_to.py, tests/cluster.
OF_A_CLUSTER = tuple(ROOT / "docs/howto" / page for page in ("kubernetes.md", "on-a-cluster.md", "images.md"))
# Its commands start an installation and fill it, which has to be empty: tests/console/test_filling.py.
OF_AN_EMPTY_ONE = ROOT / "docs/howto/fill.md"
# Commands of whoever runs the machine: in the checkout, with the settings of the set-up.
OF_THE_CHECKOUT = ("python manage.py", "script/")
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in (*OF_A_CLUSTER, OF_AN_EMPTY_ONE)], ids=lambda page: page.stem
)
def test_it_runs_what_the_page_shows(page: Path, stack: RunningStack, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CAUSEWAY_URL": stack.http_url,
        "CAUSEWAY_TOKEN": stack.admin_token,
        "CAUSEWAY_HOME": str(stack.home),
        "FLYTECTL_CONFIG": str(stack.flyte_config_file),
    }
    for language, file, text in BLOCK.findall(page.read_text()):
        if file:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif language == "console":
            for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
                administers = command.startswith(OF_THE_CHECKOUT)
                done = subprocess.run(
                    command,
                    shell=True,
                    cwd=ROOT if administers else tmp_path,
                    env={**stack.env, "PATH": environment["PATH"]} if administers else environment,
                    capture_output=True,
                    text=True,
                    timeout=180,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def test_it_shows_no_code_that_is_not_run() -> None:
    """Every Python block of a how-to page names the file it belongs to."""
    for page in PAGES:
        for language, file, _ in BLOCK.findall(page.read_text()):
            assert file or language == "console", f"{page.name}: a block of {language} is not run"
