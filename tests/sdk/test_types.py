"""How types of frameworks come to flytekit; that they carry values is shown by labs (tests/e2e/test_frameworks.py)."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from causeway import types
from flytekit.core.type_engine import TypeEngine


def test_a_framework_that_has_changed_fails_no_task(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def take(framework: Any) -> None:
        raise AttributeError(framework.__version__)

    monkeypatch.setitem(sys.modules, "seafaring", SimpleNamespace(__version__="9.0"))  # type: ignore[arg-type]
    monkeypatch.setitem(types._TAKEN, "seafaring", take)
    with caplog.at_level(logging.WARNING, "causeway.types"):
        TypeEngine.lazy_import_transformers()
        TypeEngine.lazy_import_transformers()
    assert [one.message for one in caplog.records] == ["values of seafaring may not be carried"]


def test_a_type_that_a_plugin_has_registered_stays_its_own() -> None:
    ours = types._Files(int, "OfNumbers", types._SINGLE)
    before = TypeEngine._REGISTRY[int]
    types._register(ours)
    assert TypeEngine._REGISTRY[int] is before
