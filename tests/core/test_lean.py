"""Imports that are left out, and are there for whoever needs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


HASHES = """
import hashlib, hmac, sys
before = hashlib.sha256(b"x").hexdigest(), hmac.new(b"k", b"m", "md5").hexdigest()
for name in ("hashlib", "hmac", "_hashlib"):
    del sys.modules[name]
from teleclaude.core.lean import import_hashlib, import_managers
import_hashlib()
import_managers()
import hashlib, hmac
print({"_hashlib", "multiprocessing.shared_memory"} & set(sys.modules))
assert before == (hashlib.sha256(b"x").hexdigest(), hmac.new(b"k", b"m", "md5").hexdigest())
from multiprocessing import shared_memory
assert shared_memory.SharedMemory
"""

A_LIBRARY = """
import sys
sys.path.insert(0, {folder!r})
from teleclaude.core.lean import StandIn, import_without
import_without("lean_library", {{"lean_heavy": StandIn("lean_heavy"), "lean_other": None}})
import lean_library
print(lean_library.found, "lean_heavy" in sys.modules, lean_library.part.times)
"""


def run(program: str) -> str:
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_msgspec_comes_alone_and_what_was_left_out_can_be_imported() -> None:
    """It works without the modules that it would import, and those are themselves for whoever imports them."""
    assert run(PROGRAM) == "[]"


def test_hashes_need_no_openssl_and_managers_no_shared_memory() -> None:
    """They give the same without, and what was left out is itself for whoever imports it."""
    assert run(HASHES) == "set()"


def library(folder: Path, source: str) -> str:
    """The program that imports a library of `source`, which has a part and a heavy module."""
    (folder / "lean_library").mkdir()
    (folder / "lean_library" / "__init__.py").write_text(source)
    (folder / "lean_library" / "part.py").write_text(
        "import builtins\nbuiltins.n = times = getattr(builtins, 'n', 0) + 1\n"
    )
    (folder / "lean_heavy.py").write_text("class Heavy:\n    real = True\n")
    (folder / "lean_other.py").write_text("")
    return A_LIBRARY.format(folder=str(folder))


def test_a_library_has_something_empty_in_place_of_what_it_does_not_need(tmp_path: Path) -> None:
    """The heavy module is not there while it is imported, nor afterwards."""
    source = "from lean_library import part\nfrom lean_heavy import Heavy\nfound = vars(Heavy).get('real')\n"
    assert run(library(tmp_path, source)) == "None False 1"


def test_a_library_that_needs_more_is_imported_as_it_is(tmp_path: Path) -> None:
    """Where something empty is not enough all of the library is imported anew, with the real module."""
    source = "from lean_library import part\nfrom lean_heavy import Heavy\nfound = Heavy.real\n"
    assert run(library(tmp_path, source)) == "True True 2"


def test_a_library_that_must_have_what_is_absent_has_it(tmp_path: Path) -> None:
    """An import that is told to fail, and that the library does not do without, is done after all."""
    source = "from lean_library import part\nimport lean_other\nfound = lean_other.__name__\n"
    assert run(library(tmp_path, source)) == "lean_other False 2"


def test_click_asks_for_inspect_as_ever() -> None:
    """A help of one line, and of several, is as click would show it; a type of uuid is itself."""
    found = run(
        "from teleclaude.core.lean import import_click; import_click();"
        "import click, inspect, uuid;"
        "texts = ['  one\\tline ', ' two\\n   lines\\n', '', ' '];"
        "assert [click.core.inspect.cleandoc(t) for t in texts] == [inspect.cleandoc(t) for t in texts];"
        "assert click.core.inspect.isfunction(run := lambda: 0) and not click.core.inspect.isfunction(1);"
        "print(click.core.inspect.currentframe() is not None, uuid.UUID(int=1).int)"
    )
    assert found == "True 1"


@pytest.mark.parametrize("command", ["sessions", "status"])
def test_a_command_that_reads_imports_little(command: str) -> None:
    """What the commands import does not hold modules that cost more than all of their own."""
    found = run(
        "import sys; from teleclaude.cli.main import teleclaude as group;"
        f"assert group.get_command(None, {command!r});"
        "unwanted = {'typing_extensions', 'wcwidth', 'secrets', 'redis', 'flask', 'inspect', 'uuid', 'dataclasses'};"
        "unwanted |= {'teleclaude.core.verbs', 'teleclaude.core.settings', 'subprocess', 'logging', 'json'};"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    assert found == "[]"
