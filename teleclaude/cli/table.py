"""What the commands print: aligned columns, one visible line a row, and JSON that any terminal may show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from teleclaude.core.text import visible
from teleclaude.tui.cells import width


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns, aligned by display width. Cells come from anywhere and are made safe here."""
    lines = [list(head), *([visible(" ".join(cell.split())) for cell in row] for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        padded = [cell + " " * (cells - width(cell)) for cell, cells in zip(line, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())


def print_json(value: Any) -> None:
    """Print as JSON in ASCII: no character of it can act on a terminal, and none is lost."""
    import json  # not for those who print a table

    click.echo(json.dumps(msgspec.to_builtins(value), indent=2))


def say(text: str) -> None:
    """Print one line that may hold anything."""
    click.echo(visible(text))


def say_aside(text: str) -> None:
    """Print one line on standard error, beside what is for other programs."""
    click.echo(visible(text), err=True)
