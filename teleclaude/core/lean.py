"""Imports that cost less than they would by themselves. Imports nothing of this project, so that it can come first.

A library imports much that this product never uses. While it is imported, something empty stands in for that; the real
one can be imported as ever afterwards. A version of the library to which something empty is not enough is imported as
it is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType


class StandIn(ModuleType):
    """Has every name, and each is an empty class."""

    def __getattr__(self, name: str) -> type:
        """Make the class."""
        if name.startswith("__"):
            raise AttributeError(name)
        found = type(name, (), {})
        setattr(self, name, found)
        return found


class _Inspect(ModuleType):
    """What click asks of inspect for each option, without inspect; that is imported for all else."""

    def cleandoc(self, text: str) -> str:
        """Give a text without its indentation."""
        return import_module("inspect").cleandoc(text) if "\n" in text else text.expandtabs().lstrip()

    def __getattr__(self, name: str) -> object:
        return getattr(import_module("inspect"), name)


def import_click() -> None:
    """Import click without a parser of Python and the names of all platforms: a sixth of what a command takes."""
    import_without("click", {"inspect": _Inspect("inspect"), "uuid": StandIn("uuid")})


def import_msgspec() -> None:
    """Import msgspec without what it imports for types that no record here has.

    It looks in typing_extensions for names that this Python has in typing, and takes the classes of uuid and decimal
    to know them by: 17 ms of imports, a fifth of all before the first painted row, and a megabyte of each process.
    msgspec refuses values of those types then, as it does any unknown type's.
    """
    uuid = StandIn("uuid")
    uuid.SafeUUID.unknown = None  # type: ignore[attr-defined]
    import_without("msgspec", {"typing_extensions": None, "uuid": uuid, "decimal": StandIn("decimal")})


def import_hashlib() -> None:
    """Import hashlib and hmac without OpenSSL, where Python has the hashes itself: half a megabyte of each process."""
    try:
        for name in ("_blake2", "_md5", "_sha2" if sys.version_info >= (3, 12) else "_sha256"):
            import_module(name)
    except ImportError:
        return
    import_without("hashlib", {"_hashlib": None})
    import_without("hmac", {"_hashlib": None})


def import_managers() -> None:
    """Import multiprocessing.managers without its shared memory: half a megabyte."""
    import_without("multiprocessing.managers", {"multiprocessing.shared_memory": None})


def import_without(module: str, absent: Mapping[str, ModuleType | None]) -> None:
    """Import a module while others are `absent`: one is a stand-in, or None, of which an import fails.

    What is imported already stays as it is.
    """
    if module in sys.modules:
        return
    before = set(sys.modules)
    stood_in = {name: other for name, other in absent.items() if name not in sys.modules}
    sys.modules.update(stood_in)  # type: ignore[arg-type]  # None is how an import is told to fail
    try:
        import_module(module)
    except (ImportError, AttributeError, TypeError):  # a version that wants more of them
        _forget(set(sys.modules) - before - set(stood_in))
    finally:
        for name in stood_in:
            del sys.modules[name]
    import_module(module)


def _forget(names: set[str]) -> None:
    """Have libraries imported anew; but for what is Python's own, or not written in it: that is not made twice."""
    for name in names:
        is_python = (getattr(sys.modules[name], "__file__", None) or "").endswith(".py")
        if is_python and name.partition(".")[0] not in sys.stdlib_module_names:
            del sys.modules[name]
