"""Gives memory back after a crowd has left.

Each connection of flask-sock leaves a class of its own behind, a cycle, which Python finds only when as much again
was allocated; and the C library keeps what was freed in between. So after a crowd: collect, then trim.
"""

from __future__ import annotations

import ctypes
import gc

CROWD = 100  # clients


class Memory:
    """Watches the number of clients."""

    def __init__(self) -> None:
        self._most = 0
        gc.collect()
        gc.freeze()  # what is there from the start stays: no later collection looks at it again

    def look(self, clients: int) -> bool:
        """Give memory back if most of a crowd has left since the last look; tells whether it did."""
        self._most = max(self._most, clients)
        if self._most < CROWD or clients > self._most // 4:
            return False
        self._most = clients
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)
        return True
