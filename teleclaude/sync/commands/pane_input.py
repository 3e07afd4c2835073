"""Text and keys into a pane.

Rules:
- Text goes in through a buffer, as one paste, never as an argument; Enter goes the same way, because `send-keys` would
  press it in copy mode and in every pane that is synchronised.
- A pane in copy mode leaves it first: tmux would paste without the marks of a paste, and keys would move its cursor.
- What a terminal would drop in silence is refused: a long line in canonical mode, any input that is switched off.
"""

from __future__ import annotations

import os
import secrets
import termios
import time
from collections.abc import Callable, Sequence

from teleclaude.core.errors import InvalidField, OutcomeUnknown
from teleclaude.sync.commands.pane_now import (
    LINE_LIMIT,
    PaneNow,
    Target,
    longest_line,
    question,
    read_pane,
    refuse_input,
    refuse_other,
)
from teleclaude.sync.commands.terminal_text import for_paste

ENTER_PAUSE, LONG_PAUSE = 0.06, 0.15  # seconds between a paste and Enter, so that the program has taken the paste
LONG = 16 * 1024
ENTERS = 3  # what has just started may lose the first

RunTmux = Callable[..., bytes]  # (*words, server, deadline, data): what it printed


class PaneInput:
    """Writes into panes through `run`, which runs one tmux command. Raises what that raises."""

    def __init__(self, run: RunTmux) -> None:
        self._run = run

    def look(self, target: Target, deadline: float) -> PaneNow:
        """Give what the pane is now. Raises NotFound when it is another's by now, Conflict when it is dead."""
        now = read_pane(self._run(*question(target.where), server=target.server, deadline=deadline))
        target.check(now)
        return now

    def paste(
        self,
        target: Target,
        text: str,
        now: PaneNow,
        deadline: float,
        *,
        enter_pause: float = ENTER_PAUSE,
        before_enter: Callable[[], object] = lambda: None,
        is_taken: Callable[[], bool] = lambda: True,
    ) -> None:
        """Paste a text, and press Enter unless `before_enter` raises; again while it is not taken.

        Raises InvalidField, Conflict, and OutcomeUnknown for a text that was pasted and is not taken.
        """
        clean = for_paste(text)
        if not clean:
            raise InvalidField("text", "holds nothing but control characters")
        refuse_input(now, to_all=False)
        if longest_line(clean) > LINE_LIMIT and is_canonical(now.tty):
            raise InvalidField(
                "text",
                f"has a line of {longest_line(clean)} bytes, and what runs there reads whole lines of at most "
                f"{LINE_LIMIT} from its terminal, which drops the rest",
            )
        buffer = f"teleclaude-{secrets.token_hex(6)}"
        self._from_buffer(target, buffer, clean, deadline, "-p")
        time.sleep(max(LONG_PAUSE if len(clean) > LONG else 0.0, enter_pause))
        for _ in range(ENTERS):
            before_enter()
            self._from_buffer(target, buffer, "\r", deadline)
            if is_taken():
                return
        raise OutcomeUnknown("the text stands at the prompt, and Enter was not taken; it may be sent yet")

    def _from_buffer(self, target: Target, buffer: str, text: str, deadline: float, *how: str) -> None:
        guarded = target.guarded(
            ["copy-mode", "-q", "-t", target.pane],
            ["paste-buffer", "-b", buffer, "-d", "-r", *how, "-t", target.pane],
            otherwise=[["delete-buffer", "-b", buffer]],
        )
        load = ("load-buffer", "-b", buffer, "-", ";")
        refuse_other(
            self._run(*load, *guarded, server=target.server, deadline=deadline, data=text.encode()),
        )

    def press(self, target: Target, keys: Sequence[str], now: PaneNow, deadline: float) -> None:
        """Press keys, by tmux' names. Raises Conflict."""
        refuse_input(now, to_all=True)
        guarded = target.guarded(["copy-mode", "-q", "-t", target.pane], ["send-keys", "-t", target.pane, "--", *keys])
        refuse_other(self._run(*guarded, server=target.server, deadline=deadline))


def is_canonical(tty: str) -> bool:
    """Tell whether a terminal hands over whole lines only; False for one that cannot be asked. Never waits."""
    try:
        fd = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(termios.tcgetattr(fd)[3] & termios.ICANON)
    except termios.error:
        return False
    finally:
        os.close(fd)
