"""Imports that cost less than they would by themselves. Imports nothing of this project, so that it can come first."""

from __future__ import annotations

import sys
from types import ModuleType


def import_msgspec() -> None:
    """Import msgspec without what it imports for types that no record here has.

    It looks in typing_extensions for names that this Python has in typing, and takes the classes of uuid and decimal
    to know them by: 17 ms of imports, a fifth of all before the first painted row, and a megabyte of each process.
    They can be imported as ever afterwards; msgspec refuses their values then, as it does any unknown type's.
    """
    if "msgspec" in sys.modules:
        return
    absent: dict[str, ModuleType | None] = {
        "typing_extensions": None,  # an import of it fails, and msgspec goes on
        "uuid": _with_classes("uuid", "UUID", "SafeUUID"),
        "decimal": _with_classes("decimal", "Decimal"),
    }
    stood_in = {name: module for name, module in absent.items() if name not in sys.modules}
    sys.modules.update(stood_in)  # type: ignore[arg-type]  # None is how an import is told to fail
    try:
        import msgspec  # noqa: F401, PLC0415
    except AttributeError:  # a version that wants more of them: then they are imported below
        sys.modules.pop("msgspec", None)
    finally:
        for name in stood_in:
            del sys.modules[name]
    import msgspec  # noqa: F401, PLC0415


def _with_classes(module: str, *names: str) -> ModuleType:
    found = ModuleType(module)
    for name in names:
        setattr(found, name, type(name, (), {"unknown": None}))
    return found
