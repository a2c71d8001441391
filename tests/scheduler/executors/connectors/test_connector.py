"""What operators may say of a connector, and what is known of it between processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from scheduler.executors import registry
from scheduler.executors.connectors import connectors, records
from scheduler.executors.connectors.connector import Connector, described, parse, types_of
from scheduler.executors.descriptions import BadDescription
from scheduler.models import ConnectorCatalogue, ConnectorSettings

SAID = [
    {"agent": "Yard", "type": "ship", "version": 2, "sync": False},
    {"agent": "Chandler", "type": "rope", "version": 0, "sync": True},
]


def test_a_setting_names_them_or_a_file_that_does(tmp_path: Path) -> None:
    assert parse("") == []
    assert parse("a=one:8000, b=[::1]:9000") == [Connector("a", "one:8000"), Connector("b", "[::1]:9000")]
    file = tmp_path / "connectors.yaml"
    file.write_text("- name: a\n  endpoint: one:8000\n  repeatable: [ship]\n- name: b\n  endpoint: two:8000\n")
    assert [(one.name, one.repeatable) for one in parse(str(file))] == [("a", ("ship",)), ("b", ("sensor",))]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "nowhere"}, "endpoint has to be host:port"),
        ({"endpoint": "a:70000"}, "endpoint has to be host:port"),
        ({"endpoint": "http://a:80"}, "endpoint has to be host:port"),
        ({"name": "A B", "endpoint": "a:1"}, "small letters"),
        ({"endpoint": "a:1", "endpint": "b"}, "no setting 'endpint'; there are at_once"),
        ({"endpoint": "a:1", "task_types": "ship"}, "task_types has to be a list"),
        ({"endpoint": "a:1", "task_types": [1]}, "1 is none"),
        ({"endpoint": "a:1", "poll_seconds": 0}, "poll_seconds has to be above zero"),
        ({"endpoint": "a:1", "at_once": 0.5}, "at_once has to be a whole number"),
        ({"endpoint": "a:1", "secure": "yes"}, "secure has to be true or false"),
        ("x", "has to be a mapping"),
    ],
)
def test_it_says_what_it_does_not_understand(given: object, said: str) -> None:
    with pytest.raises(BadDescription) as refused:
        described(given)
    assert said in str(refused.value)


@pytest.mark.parametrize(("text", "said"), [("a=x:1,a=y:2", "one name"), ("/nowhere.yaml", "cannot be read")])
def test_a_setting_that_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadDescription) as refused:
        parse(text)
    assert said in str(refused.value)


def test_it_gets_of_what_it_runs_only_the_types_it_is_for() -> None:
    assert types_of(Connector(), SAID) == {("ship", 2): False, ("rope", 0): True}
    assert types_of(Connector(task_types=("rope",)), SAID) == {("rope", 0): True}


@pytest.mark.django_db
def test_what_it_said_counts_for_its_address_and_outlives_its_silence(settings: Settings) -> None:
    settings.CAUSEWAY_CONNECTORS = "yard=one:8000"
    (service,) = connectors.configured()
    assert (service.name, service.known, service.types) == ("yard", False, frozenset())
    records.heard.__wrapped__("yard", "one:8000", SAID, timezone.now())  # type: ignore[attr-defined]
    records.silent.__wrapped__("yard", "one:8000", "it is gone", timezone.now())  # type: ignore[attr-defined]
    (service,) = connectors.configured()
    assert service.known and service.types == {("ship", 2), ("rope", 0)}
    assert ConnectorCatalogue.objects.get().problem == "it is gone"
    settings.CAUSEWAY_CONNECTORS = "yard=two:8000"
    assert not connectors.configured()[0].known
    records.silent.__wrapped__("yard", "two:8000", "it is not there", timezone.now())  # type: ignore[attr-defined]
    assert ConnectorCatalogue.objects.get().types == []


@pytest.mark.django_db
def test_rows_are_used_beside_the_setting_which_goes_before_them(settings: Settings) -> None:
    assert not registry.to_keep()
    settings.CAUSEWAY_CONNECTORS = "yard=one:8000"
    now = timezone.now()
    for name, description in (("yard", {"endpoint": "x:1"}), ("b", {"endpoint": "b:1"}), ("odd", {"end": 1})):
        ConnectorSettings.objects.create(
            name=name, description=description, created_by="r", created_at=now, updated_by="r", updated_at=now
        )
    assert [(one.name, one.endpoint) for one in connectors.all_connectors()] == [("yard", "one:8000"), ("b", "b:1")]
    assert registry.to_keep() == {("connectors", ""): ""}
