"""Carrying out what the state asks for: each call in a thread of its own, its end told as a message.

The drawing loop waits for none of this. Threads are daemons: leaving never waits for a daemon that hangs.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from teleclaude.client.api import Api
from teleclaude.core.errors import TeleclaudeError, Unavailable
from teleclaude.core.paths import Places
from teleclaude.tui import saved
from teleclaude.tui.log_file import append_log
from teleclaude.tui.state import (
    Call,
    CheckHooks,
    Done,
    EndSession,
    GiveAnswer,
    LoadAgents,
    LogError,
    LookAgain,
    PrepareAttach,
    RestoreSession,
    Save,
    SendMessage,
    StartDaemon,
    StartSession,
)

_START_TIMEOUT = 60.0  # seconds


class Calls:
    """Runs calls. `tell` is called from their threads with how each ended, and must not block.

    `tty`: path of the client's terminal.
    """

    def __init__(self, place: Places, tell: Callable[[Done], None], tty: str = "") -> None:
        self._place = place
        self._tty = tty
        self._api = Api(place.api_socket)
        self._tell = tell
        self._saving = threading.Lock()
        self._newest: saved.Saved | None = None
        self._is_starting = threading.Lock()

    def begin(self, call: Call) -> None:
        """Begin a call, and return at once."""
        if isinstance(call, Save):
            self._newest = call.saved
        threading.Thread(target=self._run, args=(call,), name=type(call).__name__, daemon=True).start()

    def _run(self, call: Call) -> None:
        try:
            done = Done(call, self._do(call))
        except TeleclaudeError as error:
            done = Done(call, code=error.code, reason=error.message)
        except OSError as error:
            done = Done(call, code="internal", reason=error.strerror or str(error))
        except Exception as error:  # noqa: BLE001  (whatever it is, it must be told, not die with the thread)
            done = Done(call, code="internal", reason=f"internal error: {error!r}")
        self._tell(done)

    def _do(self, call: Call) -> Any:
        api = self._api
        match call:
            case StartSession():
                return api.start(call.computer, call.project, call.agent, title=call.title, message=call.message)
            case SendMessage():
                return api.message(call.session_id, call.text, computer=call.computer)
            case GiveAnswer():
                return api.approve(
                    call.session_id,
                    call.ask,
                    call.decision,
                    reason=call.reason,
                    answers=call.answers,
                    computer=call.computer,
                )
            case EndSession() | RestoreSession():
                act = api.end if isinstance(call, EndSession) else api.restore
                return act(call.session_id, computer=call.computer)
            case LookAgain():
                return api.refresh(call.computer)
            case LoadAgents():
                return api.agents()
            case PrepareAttach():
                from teleclaude.tui.attaching import prepared  # imports that the first screen does not wait for

                return prepared(call, self._place, self._tty)
            case StartDaemon():
                return self._start_daemon()
            case Save():
                return self.save_newest()
            case CheckHooks():
                return self._without_hooks(call.agents)
            case LogError():
                return append_log(self._place.state, call.text)

    def _without_hooks(self, agents: tuple[str, ...]) -> tuple[str, ...]:
        from teleclaude.hooks.agent_hooks import AgentHooks  # the first screen does not wait for it

        hooks = AgentHooks(self._place.hooks, os.environ, Path.home())
        return tuple(agent for agent in agents if hooks.status(agent).state == "absent")

    def save_newest(self) -> None:
        """Write the newest view that was asked to be kept. Of several threads, the last one leaves the newest."""
        with self._saving:
            if self._newest is not None:
                saved.save(self._place.state, self._newest)

    def keep(self, newest: saved.Saved) -> None:
        """Keep this one, now."""
        self._newest = newest
        self.save_newest()

    def _start_daemon(self) -> None:
        import subprocess  # 5 ms, and seldom needed

        with self._is_starting:  # asked twice: the second time it runs already
            done = subprocess.run(
                [sys.executable, "-P", "-m", "teleclaude.daemon", "start"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_START_TIMEOUT,
                check=False,
            )
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unavailable(words[-1] if words else f"it ended with status {done.returncode}")
