"""Our entries in Codex' config.toml: nothing else changes, and they go out to the byte."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import assume, given

from teleclaude.core.errors import Refused
from teleclaude.hooks.hook_entries import Entries, command
from teleclaude.hooks.toml_hooks import TomlHooks
from tests.hooks.odd_texts import EVENTS, OURS, toml_texts

SCRIPT = Path(OURS)
ENTRIES: Entries = {
    event: {"hooks": [{"type": "command", "command": command(SCRIPT, "codex", event), "timeout": 5}]}
    for event in EVENTS
}


def is_toml(text: str) -> bool:
    """Whether it can be read."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@given(toml_texts())
def test_what_others_wrote_stays_and_comes_back(text: str) -> None:
    """Whatever the formatting: all that was said is said, ours besides; and out again, it is the very same text."""
    assume(is_toml(text))
    found = TomlHooks(text, SCRIPT)
    found.install(ENTRIES)
    assert found.text.startswith(text)
    before, after = tomllib.loads(text), tomllib.loads(found.text)
    events = before.get("hooks", {})
    more = {event: [*events.get(event, []), group] for event, group in ENTRIES.items()}
    assert after == {**before, "hooks": {**events, **more}}
    again = TomlHooks(found.text, SCRIPT)
    again.uninstall(found.inserted("codex", made_file=False))
    assert again.text == text


@given(toml_texts())
def test_what_codex_writes_behind_them_stays(text: str) -> None:
    """It notes there which folders and hooks its user trusts."""
    assume(is_toml(text))
    found = TomlHooks(text, SCRIPT)
    found.install(ENTRIES)
    more = '\n[projects."/new"]\ntrust_level = "trusted"\n'
    assume(is_toml(found.text + more))
    again = TomlHooks(found.text + more, SCRIPT)
    again.uninstall(found.inserted("codex", made_file=False))
    assert again.text in {text + more, text + "\n" + more, text + "\r\n" + more}


def test_ours_go_out_of_a_group_that_has_others() -> None:
    """The group stays."""
    text = (
        f'[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ncommand = "x"\n[[hooks.Stop.hooks]]\ncommand = "{OURS} codex Stop"\n'
        "# end\n"
    )
    found = TomlHooks(text, SCRIPT)
    found.uninstall(None)
    assert found.text == '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ncommand = "x"\n# end\n'


@pytest.mark.parametrize(
    "text", ["hooks = {}", "hooks.Stop = [{hooks = []}]", "[hooks]\nStop = []", "a = ", "hooks = 1"]
)
def test_what_leaves_no_room_is_refused(text: str) -> None:
    """And what cannot be read; it stays as it is."""
    found = TomlHooks(text, SCRIPT)
    with pytest.raises(Refused):
        found.install(ENTRIES)
    assert found.text == text
