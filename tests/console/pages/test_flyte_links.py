from __future__ import annotations

import pytest
from django.test import Client

SCOPE = "/console/projects/flytesnacks/domains/development"


@pytest.mark.parametrize(
    ("printed", "page"),
    [
        ("executions/f1", "/executions/flytesnacks/development/f1/"),
        ("workflow/a.b.wf/version/v1", "/workflows/flytesnacks/development/a.b.wf/"),
        ("task/a.b.t/version/v1", "/tasks/flytesnacks/development/a.b.t/"),
        ("launch_plan/nightly/version/v1", "/launch-plans/flytesnacks/development/nightly/"),
    ],
)
def test_it_leads_the_addresses_that_flytekit_prints_to_our_pages(client: Client, printed: str, page: str) -> None:
    response = client.get(f"{SCOPE}/{printed}")
    assert (response.status_code, response.headers["Location"]) == (302, page)
