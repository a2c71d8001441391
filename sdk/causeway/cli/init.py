"""`causeway init`: a whole program to begin with."""

from __future__ import annotations

import ast
from importlib import resources
from pathlib import Path

import click

from causeway.cli.options import json_option
from causeway.cli.output import say, show_rows
from causeway.cli.root import main

README = """# {name}

{about}

```console
$ pyflyte run workflow.py {workflow}             # here, without a console
$ pyflyte run --remote workflow.py {workflow}    # on Causeway
$ pyflyte register --version v1 .
```

Made by `causeway init {name}`: change whatever you like.
"""


@main.command()
@click.argument("template", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--list", "only_list", is_flag=True, help="The templates that there are.")
@json_option
def init(template: str | None, folder: Path | None, only_list: bool, as_json: bool) -> None:
    """Write a whole program into a folder: `causeway init train-and-approve ./mine`."""
    found = templates()
    if only_list or template is None:
        rows = [{"template": name, "what": about(text).partition("\n")[0]} for name, text in found.items()]
        show_rows(rows, ["template", "what"], as_json=as_json)
        return
    if template not in found:
        raise click.UsageError(f"no template {template!r}: there are {', '.join(found)}")
    target = folder or Path(template)
    if target.exists() and any(target.iterdir()):
        raise click.UsageError(f"{target} is not empty: name another folder")
    target.mkdir(parents=True, exist_ok=True)
    text = found[template]
    (target / "workflow.py").write_text(text)
    readme = README.format(name=template, about=about(text), workflow=workflow_in(text))
    (target / "README.md").write_text(readme)
    written = {"template": template, "folder": str(target), "files": ["workflow.py", "README.md"]}
    say(
        written,
        f"{target}: workflow.py, README.md. Try it: pyflyte run workflow.py {workflow_in(text)}",
        as_json=as_json,
    )


def templates() -> dict[str, str]:
    """The program of each, by name."""
    folder = resources.files("causeway.templates")
    programs = {one.name: one / "workflow.py" for one in folder.iterdir() if one.is_dir()}
    return {name.replace("_", "-"): programs[name].read_text() for name in sorted(programs) if programs[name].is_file()}


def about(text: str) -> str:
    return ast.get_docstring(ast.parse(text)) or ""


def workflow_in(text: str) -> str:
    """The name of the function that `@workflow` stands above."""
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    marked = [one.name for one in functions if any(ast.unparse(mark) == "workflow" for mark in one.decorator_list)]
    return marked[-1]
