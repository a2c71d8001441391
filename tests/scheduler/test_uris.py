"""Where things lie: what an executor may give to an attempt's user, and where its log goes."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from scheduler.uris import Uris, log_of, raw_folder_of


@pytest.fixture(autouse=True)
def a_store(settings: Settings) -> None:
    settings.CAUSEWAY_STORE_URL = "/store"


@pytest.mark.parametrize("index", [-1, 7])
@pytest.mark.parametrize(
    ("raw_prefix", "folder"), [("", "/store/raw/p/d/e"), ("/store/raw/p/d/mine/", "/store/raw/p/d/mine/p/d/e")]
)
def test_all_attempts_of_an_execution_offload_into_one_folder(raw_prefix: str, folder: str, index: int) -> None:
    uris = Uris.of("p", "d", "e", raw_prefix)
    assert raw_folder_of(uris.attempt("n0", 2, index), uris.raw_output("n0", 2, index)) == folder


def test_a_prefix_that_is_not_of_the_execution_is_its_own_folder() -> None:
    assert raw_folder_of("/store/metadata/p/d/e/n0/0", "/store/raw/p/d/other/n0/0") == "/store/raw/p/d/other/n0/0"
    assert raw_folder_of("/elsewhere/n0/0", "/store/raw/p/d/e/n0/0") == "/store/raw/p/d/e/n0/0"


def test_the_logs_of_an_execution_share_a_folder() -> None:
    uris = Uris.of("p", "d", "e")
    assert log_of(uris.attempt("n0", 1), -1, otherwise="x") == "/store/logs/p/d/e/n0.1.log"
    assert log_of(uris.attempt("n0", 1, 7), 7, otherwise="x") == "/store/logs/p/d/e/n0.1-7.log"
    assert log_of("/elsewhere/n0/1", 7, otherwise="e-1-n0-1") == "/store/logs/e-1-n0-1-7.log"
