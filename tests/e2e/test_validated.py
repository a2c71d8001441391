"""Great Expectations and WhyLogs, the newest, inside tasks: what they say is a check of what is published, and a deck.

flytekit's plug-ins of both exclude the newest releases, so the programs call the libraries themselves. A lab, as
tests/e2e/test_frameworks.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from causeway.client import Client

from tests.e2e.environments import environment
from tests.e2e.flytekit_user import DOMAIN, PROJECT, FlytekitUser
from tests.stack import running_stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not {"1", "all", "validated"} & set(os.environ.get("CAUSEWAY_LABS", "").split(",")),
        reason="a lab of large libraries: CAUSEWAY_LABS=validated",
    ),
]
PINNED = Path(__file__).parent / "frameworks"
UNMET = {
    "expectations": ("fish expect_column_values_to_be_between", {"expected-catches", "checked-catches"}),
    "profiles": ("fish smaller than number 100", {"profiled-catches"}),
}


@pytest.mark.parametrize("lab", UNMET)
def test_what_the_library_finds_is_a_check_and_a_deck(lab: str, tmp_path: Path) -> None:
    commands = environment(PINNED / f"{lab}.txt", tmp_path / "environment", with_sdk=True)
    with running_stack(tmp_path / "home", CAUSEWAY_ENVIRONMENTS=f"ghcr.io/isles/{lab}={commands / 'python'}") as stack:
        user = FlytekitUser(stack, tmp_path / "programs", commands=commands)
        where = ("-p", PROJECT, "-d", DOMAIN, "--version", "v1", "--copy", "all")
        assert "Successfully registered" in user.pyflyte("register", *where, f"validated/{lab}.py")
        plan = user.fetch(f"validated.{lab}.landing_wf")
        client = Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN)
        unmet, artifacts = UNMET[lab]
        for fish, status in ((40, "passed"), (101, "failed")):
            run = user.wait(user.remote.execute(plan, inputs={"fish": fish}), 600)
            assert run.error is None, run.error.message
            for artifact in artifacts:  # of its newest version
                [check] = client.governance.results(artifact)
                assert (check["status"], check["severity"]) == (status, "block")
                assert (unmet in check["message"]) == (status == "failed")
        assert unmet.split()[0] in deck(user, run)


def deck(user: FlytekitUser, run: Any) -> str:
    found = user.remote.get(f"flyte://v1/{PROJECT}/{DOMAIN}/{run.id.name}/n0/d")
    data = getattr(found, "data", found)
    return data.decode() if isinstance(data, bytes) else str(data)
