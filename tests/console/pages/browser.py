"""A form as a browser reads and sends it (HTML, "parsing HTML documents" and "constructing the entry list")."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

_LINE_END = re.compile(r"\r\n|\r|\n")
_UNSENT = ("submit", "button", "checkbox", "radio")


@dataclass
class Control:
    name: str
    value: str
    kind: str


@dataclass
class Form:
    controls: list[Control] = field(default_factory=list)

    def values(self) -> dict[str, str]:
        return {control.name: control.value for control in self.controls}

    def body(self, **changes: str) -> str:
        """Sent with some controls changed; every line end goes as CRLF, and one-line controls have none."""
        pairs = []
        for control in self.controls:
            value = changes.get(control.name, control.value)
            pairs.append((control.name, _LINE_END.sub("" if control.kind == "text" else "\r\n", value)))
        return urlencode(pairs)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.form: Form | None = None
        self.area: Control | None = None
        self.select: Control | None = None
        self.option: dict[str, str] | None = None
        self.first = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form()
            self.forms.append(self.form)
        elif self.form is None:
            return
        elif tag == "input" and given.get("name") and given.get("type") not in _UNSENT:
            kind = "hidden" if given.get("type") == "hidden" else "text"
            text = given.get("value", "")
            value = _LINE_END.sub("", text) if kind == "text" else text
            self.form.controls.append(Control(given["name"], value, kind))
        elif tag == "textarea":
            self.area = Control(given["name"], "", "textarea")
            self.form.controls.append(self.area)
        elif tag == "select":
            self.select = Control(given["name"], "", "select")
            self.first = True
            self.form.controls.append(self.select)
        elif tag == "option" and self.select is not None:
            self.option = given if "selected" in given or self.first else None
            if self.option is not None:
                self.select.value = given.get("value", "")
            self.first = False

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.area.value += data
        elif self.option is not None and self.select is not None and "value" not in self.option:
            self.select.value = " ".join((self.select.value + data).split())

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.area is not None:
            self.area.value = self.area.value.removeprefix("\n")
            self.area = None
        elif tag == "form":
            self.form = None
        elif tag == "option":
            self.option = None
        elif tag == "select":
            self.select = None


def forms(page: str) -> list[Form]:
    parser = _Parser()
    parser.feed(_LINE_END.sub("\n", page).replace("\x00", "\ufffd"))
    return parser.forms


def launch_form(page: str) -> Form:
    return next(form for form in forms(page) if any(control.name.startswith("in.") for control in form.controls))
