"""Imports that are left out, and are there for whoever needs them."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from teleclaude.core.lean import import_msgspec
import_msgspec()
print(sorted({"typing_extensions", "uuid", "decimal", "wcwidth", "secrets"} & set(sys.modules)))
import decimal, msgspec, uuid
assert uuid.UUID(int=1).hex and decimal.Decimal("1.5") * 2 == 3
class Point(msgspec.Struct):
    x: int
assert msgspec.json.decode(b'{"x": 1}', type=Point) == Point(1)
import_msgspec()
"""


def run(program: str) -> str:
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_msgspec_comes_alone_and_what_was_left_out_can_be_imported() -> None:
    """It works without the modules that it would import, and those are themselves for whoever imports them."""
    assert run(PROGRAM) == "[]"


def test_a_list_of_sessions_needs_no_table_of_widths() -> None:
    """What the commands import does not hold modules that cost more than all of their own."""
    found = run(
        "import sys; from teleclaude.cli.main import teleclaude as group;"
        "assert group.get_command(None, 'sessions');"
        "print(sorted({'typing_extensions', 'wcwidth', 'secrets', 'redis', 'flask'} & set(sys.modules)))"
    )
    assert found == "[]"
