"""One text on its way into a session: pasted, Enter behind it, and then seen to be taken, or not.

What a session does next proves that its agent took a text, strongest first: its record begins to work or has another
last prompt (a hook, the agent's state file or its title said so), or its prompt's line showed the text and shows it no
more. An agent that works already takes a text for later: its prompt's line tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from teleclaude.core.records import Delivery, Record, Session
from teleclaude.sync.commands.agent_prompt import AgentPrompt, Program
from teleclaude.sync.commands.pane_input import PaneInput
from teleclaude.sync.commands.pane_now import PaneNow, Target

PROVEN_WITHIN, LOOK_EVERY = 1.0, 0.03  # seconds for an agent to take a text after Enter

FindRecord = Callable[[str], Record | None]  # by a session's id


@dataclass(frozen=True, slots=True)
class Addressee:
    """To whom a text goes. `folder`: the one in which its agent works."""

    session_id: str
    program: Program
    target: Target
    folder: str


class TextDelivery:
    """Brings texts in, and tells how far they came. Raises what PaneInput and AgentPrompt raise."""

    def __init__(self, entry: PaneInput, prompt: AgentPrompt, record_of: FindRecord) -> None:
        self._entry, self._prompt, self._record_of = entry, prompt, record_of

    def deliver(self, to: Addressee, text: str, now: PaneNow, deadline: float) -> Delivery:
        """Paste a text and press Enter, again while it still stands at the prompt; tell what proves that it was taken.

        Raises WaitingForApproval or NotReady instead of Enter when a question has come up, OutcomeUnknown for a text
        that stands at the prompt and is not taken.
        """
        if not to.program.table:
            self._entry.paste(to.target, text, now, deadline, enter_pause=to.program.enter_pause)
            return "typed"
        proof = _Proof(self._prompt, self._record_of, to, text, deadline)
        self._entry.paste(
            to.target,
            text,
            now,
            deadline,
            enter_pause=to.program.enter_pause,
            before_enter=proof.before_enter,
            is_taken=proof.is_taken,
        )
        return "submitted" if proof.is_there else "not_proven"


class _Proof:
    """Looks for what proves that one text was taken."""

    def __init__(self, prompt: AgentPrompt, record_of: FindRecord, to: Addressee, text: str, deadline: float) -> None:
        self.is_there = False
        self._prompt, self._record_of, self._to, self._text = prompt, record_of, to, text
        self._deadline = deadline
        self._before = record_of(to.session_id)
        self._was_shown = False

    def before_enter(self) -> None:
        """See the text at the prompt, and no question: Enter would answer it."""
        to = self._to
        self._was_shown |= self._prompt.wait_shown(to.program, to.target, self._text, self._deadline)
        self._prompt.check(to.program, to.target, to.folder, self._deadline)

    def is_taken(self) -> bool:
        """Tell after Enter that the text does not stand at the prompt; `is_there` when it was seen to be taken."""
        until = min(self._deadline, time.monotonic() + PROVEN_WITHIN)
        while True:
            stands = self._stands()
            self.is_there = self._is_told() or (self._was_shown and stands is False)
            if self.is_there:
                return True
            if time.monotonic() >= until:
                return not stands
            time.sleep(LOOK_EVERY)

    def _stands(self) -> bool | None:
        """Tell whether the text stands at the prompt; None where its prompt cannot be seen."""
        return self._prompt.is_unsent(self._to.program, self._to.target, self._text, self._deadline)

    def _is_told(self) -> bool:
        before, now = self._before, self._record_of(self._to.session_id)
        if not (isinstance(before, Session) and isinstance(now, Session)):
            return False
        began = now.status == "working" and before.status != "working"
        began |= now.status == "waiting" and before.status == "idle"  # a turn so quick that it asks already
        return began or (bool(now.last_prompt) and now.last_prompt != before.last_prompt)
