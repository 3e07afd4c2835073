"""A command of the user's: words, no shell. What is told comes by environment and standard input, in no argument."""

from __future__ import annotations

from collections.abc import Sequence

from teleclaude.sync.attention.outlets import run_within
from teleclaude.sync.attention.wording import Words, as_json, fields_of
from teleclaude.sync.tmux.client import clean_environment

RUN_WITHIN = 10.0  # seconds


def run_command(command: Sequence[str], words: Words) -> None:
    """Run it, with `TELECLAUDE_NOTIFY_TITLE` and its kind, and all of it as JSON on standard input.

    Raises NotDelivered.
    """
    told = {f"TELECLAUDE_NOTIFY_{name.upper()}": text for name, text in fields_of(words).items()}
    run_within(command, RUN_WITHIN, {**clean_environment(), **told}, as_json(words).encode())
