"""Secrets that stand in addresses and messages are left out of every log."""

from __future__ import annotations

import logging
import re

_SECRETS = re.compile(
    r"""(login/link/)[^\s/?#"'<>]+  # logs in, once
      | (objects/)[\w.:-]{20,}      # a signed URL of the local store
      | (login/new-password/)[^\s?#"'<>]+
      | \b(cw[ytr]_)[\w.:=-]+       # tokens of people, of tasks and of programs that were logged in
      | (\bBearer\s+)[^\s"',]+
    """,
    re.VERBOSE,
)


def redact(text: str) -> str:
    return _SECRETS.sub(lambda match: f"{next(filter(None, match.groups()))}[redacted]", text)


class Formatter(logging.Formatter):
    """A line without secrets, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
