"""Imports that cost less than they would by themselves. Imports nothing of this project, so that it can come first."""

from __future__ import annotations

import sys


def import_msgspec() -> None:
    """Import msgspec without typing_extensions.

    It looks there for names that this Python has in typing; finding them there too costs 13 ms, a seventh of all
    imports before the first painted row, and a megabyte of each process.
    """
    if "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # an import of it fails, and msgspec goes on
    try:
        import msgspec  # noqa: F401, PLC0415
    finally:
        del sys.modules["typing_extensions"]
