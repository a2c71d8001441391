"""The documents agree with the code: requirements and their tests, links, settings, commands."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest
from causeway.cli import main as causeway

from scheduler.environment import SETTINGS as TASK_SETTINGS
from tests.e2e.test_docs import PAGES as RUN_AS_TESTS

ROOT = Path(__file__).resolve().parent.parent
DOCS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
STATES = {"done", "partly", "to do"}
ROW = re.compile(r"^\| ([RB]\d+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
TEST = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")
LINK = re.compile(r"\]\((?!https?://)([^)\s#]*)(?:#([^)\s]*))?\)")
SETTING = re.compile(r"CAUSEWAY_[A-Z0-9_]+")
# Set by one process of ours for another, or by developers for tests; not settings.
INTERNAL = {
    "CAUSEWAY_PROCESS",
    "CAUSEWAY_INSTALLATION",
    "CAUSEWAY_UP_BEGAN",
    "CAUSEWAY_TEST_ID",
    "CAUSEWAY_REQUIRE_CLUSTER",
    "CAUSEWAY_CLUSTER_TESTS",
    "CAUSEWAY_CLUSTER_PREPARED",
    "CAUSEWAY_CLUSTER_UNTIL",
    "CAUSEWAY_REQUIRE_KUEUE",
    "CAUSEWAY_RUNNER",
    "CAUSEWAY_LABS",
}


def requirements() -> dict[str, tuple[str, str, str, str]]:
    rows = ROW.findall((ROOT / "docs/requirements.md").read_text())
    numbers = [row[0] for row in rows]
    assert len(numbers) == len(set(numbers)), "a number stands twice"
    return {number: (text, state, where, shown) for number, text, state, where, shown in rows}


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def test_it_lists_every_requirement_once() -> None:
    expected = {f"R{number}" for number in range(1, 189)} | {f"B{number}" for number in range(1, 16)}
    assert set(requirements()) == expected


def test_it_gives_each_requirement_a_state_and_shows_what_is_done() -> None:
    run = {page.name for page in RUN_AS_TESTS}
    for number, (text, state, where, shown) in requirements().items():
        assert text, number
        assert state in STATES, number
        pages = {Path(link).name for link, _ in LINK.findall(shown)}
        assert pages <= run, f"{number}: {pages - run} are not run as tests"
        if state == "done":
            assert where, number
            assert TEST.search(shown) or pages, f"{number} is done, and nothing shows it"
        if state == "partly":
            assert where, f"{number}: what is missing?"


def test_it_counts_the_requirements_as_they_are() -> None:
    text = (ROOT / "docs/requirements.md").read_text()
    for letter, total in (("R", 188), ("B", 15)):
        states = [row[1] for number, row in requirements().items() if number.startswith(letter)]
        counts = ", ".join(f"{states.count(state)} {state}" for state in ("done", "partly", "to do"))
        assert f"Of {total}: {counts}." in text


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_names_tests_and_pages_that_exist(page: Path) -> None:
    text = page.read_text()
    for path, name in TEST.findall(text):
        assert (ROOT / path).is_file(), path
        assert not name or name in functions(path), f"{path} has no {name}"
    for link, anchor in LINK.findall(text):
        target = (page.parent / link).resolve() if link else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}#{anchor}"


def test_it_names_files_that_exist_in_the_requirements() -> None:
    for number, (_, _, where, _) in requirements().items():
        for path in re.findall(r"`([a-z]+/[\w/.-]*)`", where):
            assert (ROOT / path).exists(), f"{number}: {path}"


def settings_read() -> set[str]:
    """What our code takes from the environment, wherever it does."""
    found: set[str] = set(TASK_SETTINGS)
    for folder in ("artifacts", "lineage", "scheduler", "console", "sdk"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            found |= set(re.findall(r'(?:env|environ|envvar|get|getenv|env_flag|pop)\W+"(CAUSEWAY_[A-Z0-9_]+)"', text))
    for path in (each for each in (ROOT / "script").rglob("*") if each.suffix in ("", ".sh") and each.is_file()):
        found |= set(re.findall(r"\$\{(CAUSEWAY_[A-Z0-9_]+):[-+?]", path.read_text()))
    return found - INTERNAL


def test_it_describes_every_setting_and_no_other() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    described = {name for row in re.findall(r"^\| (.*?) \|", text, re.MULTILINE) for name in SETTING.findall(row)}
    assert described == settings_read()


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_mentions_settings_that_exist(page: Path) -> None:
    assert set(SETTING.findall(page.read_text())) <= settings_read() | INTERNAL


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = command
    return found


def test_it_describes_every_command_and_its_options() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text()
    table = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    existing = commands(causeway)
    for name in existing:
        assert re.search(rf"`{name}\b", table), name
    options = {
        option
        for each in (*existing.values(), causeway)
        for parameter in each.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert set(re.findall(r"`?(--[a-z][a-z-]*)", text)) <= options
    for described in re.findall(r"^\| `([a-z]+(?: [a-z]+)?)(?: [A-Z-][^`]*)?`", text, re.MULTILINE):
        assert described in existing, described
