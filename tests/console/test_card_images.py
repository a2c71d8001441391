from __future__ import annotations

import re
import time

import pytest
from django.core import signing
from django.test import Client

from artifacts.models import ArtifactVersion, Kind
from artifacts.store import store
from console.card_images import LARGEST, SALT, VALID, image_path
from tests.console.pages.cast import make_version, user

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


def version_with(path: str, data: bytes) -> ArtifactVersion:
    uri = store().join(store().root, "raw", "demo", "folder")
    store().put(store().join(uri, path), data)
    card = f"# Plots\n\n![the curve]({path})"
    return make_version("ml-model", Kind.DIRECTORY, uri=uri, card=card, card_format="markdown")


def test_a_card_shows_an_image_of_its_version_to_whoever_gets_the_card() -> None:
    version = version_with("plots/roc.png", PNG)
    client = Client()
    client.force_login(user("admin", superuser=True))
    page = client.get(f"/artifacts/versions/{version.pk}/card/").content.decode()
    (source,) = re.findall(r'<img[^>]*src="([^"]+)"', page)

    shown = Client().get(source)  # the signature is the whole authority

    assert shown.status_code == 200 and shown.content == PNG and shown["Content-Type"] == "image/png"
    assert shown["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert shown["X-Content-Type-Options"] == "nosniff" and "no-referrer" in shown["Referrer-Policy"]
    rest = client.get(f"/api/v1/artifacts/demo/development/ml-model/versions/{version.version}/card")
    assert re.search(r'src="http://localhost:\d+/card-images/', rest.content.decode())
    assert (
        "img-src 'self'" in rest["Content-Security-Policy"] and "allow-scripts" not in rest["Content-Security-Policy"]
    )


@pytest.mark.parametrize(
    "data",
    [b"<svg onload=alert(1)>", b"<html><script>alert(1)</script>", b"RIFF0000WAVE", b"", PNG + b"x" * LARGEST],
    ids=["svg", "html", "sound", "empty", "too large"],
)
def test_it_serves_nothing_but_raster_images_of_bounded_size(data: bytes) -> None:
    version = version_with("a.png", data)
    answer = Client().get(image_path(f"{version.uri}/a.png"))
    assert answer.status_code == 415 and answer["Content-Type"] == "text/plain"


def test_links_expire_and_cannot_be_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    path = image_path(f"{version_with('a.png', PNG).uri}/a.png")
    assert Client().get(path).status_code == 200
    assert Client().get(path[:-2]).status_code == 403
    foreign = signing.dumps(f"{store().root}/raw/demo/folder/a.png", salt="another")
    assert Client().get(f"/card-images/{foreign}").status_code == 403
    gone = signing.dumps(f"{store().root}/raw/demo/folder/none.png", salt=SALT)
    assert Client().get(f"/card-images/{gone}").status_code == 404

    later = time.time() + VALID.total_seconds() + 60
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert Client().get(path).status_code == 403
