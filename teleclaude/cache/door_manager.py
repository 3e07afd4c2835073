"""How the manager's door is known at both of its ends; of what is behind it, a client imports nothing."""

from __future__ import annotations

from multiprocessing.managers import BaseManager

EXPOSED = ("write", "hold", "stats")


class DoorManager(BaseManager):
    """The manager; a client registers the door without a callable, the server with one."""


DoorManager.register("door", exposed=EXPOSED)
