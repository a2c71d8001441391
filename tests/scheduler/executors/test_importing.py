"""What a program that is imported once, with forks as its tasks, must not change for them."""

from __future__ import annotations

import pytest
from flytekit.configuration import SERIALIZED_CONTEXT_ENV_VAR, ImageConfig, SerializationSettings

from scheduler.executors.local.zygote import importing


def settings_of(version: str) -> str:
    made = SerializationSettings(ImageConfig.auto(img_name="localhost/task:1"), "flights", "development", version)
    return made.serialized_context


def test_a_programs_settings_are_read_once_and_all_others_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = settings_of("v1"), settings_of("v2")
    monkeypatch.setattr(SerializationSettings, "from_transport", SerializationSettings.from_transport)
    monkeypatch.setenv(SERIALIZED_CONTEXT_ENV_VAR, own)
    importing.know_settings()
    read = SerializationSettings.from_transport
    assert read(own) is read(own)
    assert (read(own).version, read(other).version) == ("v1", "v2")
    changed = read(own).new_builder()
    changed.version = "v3"
    assert (changed.build().version, read(own).version) == ("v3", "v1"), "a task's own do not reach the next"


def test_a_program_without_settings_reads_them_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SerializationSettings.from_transport
    monkeypatch.delenv(SERIALIZED_CONTEXT_ENV_VAR, raising=False)
    importing.know_settings()
    assert SerializationSettings.from_transport == before
