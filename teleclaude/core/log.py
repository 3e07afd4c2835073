"""Logging, set up once per process: one line a message, to standard error, safe to show."""

from __future__ import annotations

import logging
import re
import sys
from typing import Protocol

from teleclaude.core.text import visible


class _OneLine(logging.Formatter):
    """Format a record as one line; a traceback's lines are joined by ` | ` so that nothing forges a line."""

    def format(self, record: logging.LogRecord) -> str:
        return " | ".join(visible(line) for line in super().format(record).splitlines())


_PREFIX = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \w+ [\w.]+: ")


def words_of(line: str) -> str:
    """What a line of the log says, without time, level and names."""
    return _PREFIX.sub("", line.strip(), count=1)


class Stream(Protocol):
    """What takes the lines."""

    def write(self, text: str, /) -> object:
        """Take some text."""


def set_up(process: str, level: str, stream: Stream | None = None) -> None:
    """Log to `stream`, else standard error, as `time level process module: message`."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_OneLine(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
