"""Notifications of the desktop, by `notify-send`. One that can be clicked keeps its program, for a while.

Only what a program says after it was started is waited for, in a thread of its own; no more than `CLICKABLE` at once.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Mapping

from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.attention.outlets import NotDelivered, run_within
from teleclaude.sync.attention.wording import Words, without_markup
from teleclaude.sync.tmux.client import clean_environment

log = logging.getLogger(__name__)

SHOW_WITHIN = 5.0  # seconds for notify-send to hand it over
CLICK_WITHIN = 120.0  # seconds that a notification may be clicked
OPEN_WITHIN = 20.0  # seconds for the session to be shown
CLICKABLE = 8
_OPEN = "open"


def has_desktop(environ: Mapping[str, str]) -> bool:
    """Tell whether there is a desktop here that could show a notification."""
    is_graphic = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    return is_graphic and shutil.which("notify-send", path=environ.get("PATH")) is not None


class Desktop:
    """Shows words by notify-send."""

    def __init__(self, threads: ThreadGroup) -> None:
        self._threads = threads
        self._takes_actions: bool | None = None
        self._free = threading.BoundedSemaphore(CLICKABLE)

    def show(self, words: Words) -> None:
        """Show a notification. Raises NotDelivered."""
        if shutil.which("notify-send") is None:
            raise NotDelivered("notify-send is not installed (libnotify)")
        urgency = "normal" if words.state == "finished" else "critical"
        options = ["--app-name=teleclaude", f"--urgency={urgency}", "--category=im.received"]
        text = ["--", words.title, without_markup(words.text)]
        if self._can_be_clicked() and self._free.acquire(blocking=False):
            argv = ["notify-send", *options, f"--action={_OPEN}=Open", *text]
            self._threads.start("a notification", self._await_click, argv, words)
        else:
            run_within(["notify-send", *options, *text], SHOW_WITHIN, clean_environment())

    def _can_be_clicked(self) -> bool:
        if self._takes_actions is None:
            self._takes_actions = "--action" in run_within(["notify-send", "--help"], SHOW_WITHIN, clean_environment())
        return self._takes_actions

    def _await_click(self, argv: list[str], words: Words) -> None:
        try:
            if run_within(argv, CLICK_WITHIN, clean_environment()).strip() == _OPEN:
                open_session(words)
        except NotDelivered as error:
            log.debug("a notification was not clicked: %s", error)
        finally:
            self._free.release()


def open_session(words: Words) -> None:
    """Have the tmux client that was used last show it; of several, the next that waits. Raises NotDelivered."""
    which = ["--session", words.notices[0].session_id] if len(words.notices) == 1 else []
    environ = {name: value for name, value in os.environ.items() if name not in {"TMUX", "TMUX_PANE"}}
    run_within([sys.executable, "-P", "-m", "teleclaude.cli.main", "next", *which], OPEN_WITHIN, environ)
