"""One database, one installation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from console import installation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(settings: Settings) -> Iterator[installation.Held]:
    settings.CAUSEWAY_INSTALLATION = "/srv/one"
    held = installation.hold()
    yield held
    held.stop()


def test_replicas_of_one_installation_share_it(held: installation.Held) -> None:
    installation.check()
    other = installation.hold()
    installation.check()
    other.stop()


@pytest.mark.parametrize("setting", ["CAUSEWAY_INSTALLATION", "SECRET_KEY"])
def test_another_installation_is_refused_until_the_first_is_gone(
    held: installation.Held, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, "another one, of which the key is long enough as well")
    for refused in (installation.check, installation.hold):
        with pytest.raises(installation.DatabaseTaken, match=r"in use by another Causeway \(causeway .*:/srv/one\)"):
            refused()
    with pytest.raises(CommandError, match="stop that one, or set DATABASE_URL"):
        call_command("bootstrap", no_static=True)
    held._session.close()  # as the death of its process does
    for _ in range(100):
        try:
            installation.hold().stop()
            break
        except installation.DatabaseTaken:
            continue
    else:
        pytest.fail("the lock of a session that is gone keeps others out")
