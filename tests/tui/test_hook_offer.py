"""Hooks are offered in words, once, for agents of this computer that have none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleclaude.core.paths import Places
from teleclaude.core.records import Computer
from teleclaude.hooks.agent_hooks import AgentHooks
from teleclaude.tui.effects import Calls
from teleclaude.tui.state import CheckHooks, Done, Effect, Save
from tests.tui.driving import Driver, alpha, work
from tests.wait import until


def checks(effects: list[Effect]) -> list[CheckHooks]:
    """What was asked to be looked up."""
    return [effect for effect in effects if isinstance(effect, CheckHooks)]


def test_an_agent_without_hooks_is_told_of_once() -> None:
    """It is looked up when the agent is first seen; what was offered is kept over a restart."""
    driver = Driver()
    driver.connect()
    driver.load("here", [alpha(), work("a", "one"), work("b", "two"), work("c", "sh", agent="shell")])
    (check,) = checks(driver.effects)
    assert check.agents == ("claude",)
    driver.effects.clear()
    driver.tell(Done(check, ("claude",)))
    assert "claude tells more with hooks: bin/teleclaude hooks install claude" in driver.text()
    (kept,) = [effect.saved for effect in driver.effects if isinstance(effect, Save)]
    driver.put(work("d", "four"))
    assert checks(driver.effects) == []
    again = Driver(saved=kept)
    again.connect()
    again.load("here", [alpha(), work("a", "one"), work("b", "two", agent="codex")])
    assert [check.agents for check in checks(again.effects)] == [("codex",)]


def test_nothing_is_said_where_all_have_hooks_or_the_agents_are_elsewhere() -> None:
    """Nor kept: they may be taken out again."""
    driver = Driver()
    driver.connect(Computer(name="raspi"))
    driver.load("raspi", [work("r", "far", computer="raspi")])
    assert checks(driver.effects) == []
    driver.load("here", [work("a", "one")])
    (check,) = checks(driver.effects)
    driver.tell(Done(check, ()))
    driver.tell(Done(check, code="internal", reason="no"))
    assert driver.state.notice is None
    assert not driver.state.hooks_offered


def test_other_words_are_not_covered() -> None:
    """The offer waits for another run then."""
    driver = Driver()
    driver.connect()
    driver.load("here", [work("a", "one")])
    driver.press("?")
    driver.tell(Done(CheckHooks(("claude",)), ("claude",)))
    assert driver.state.notice is None
    assert not driver.state.hooks_offered


def test_it_is_looked_up_in_the_agents_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this user: what is not there, and not what is outdated or cannot be read."""
    place = Places(config=tmp_path / "c", state=tmp_path / "s", runtime=tmp_path / "r")
    homes = {
        "HOME": str(tmp_path),
        "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
        "CODEX_HOME": str(tmp_path / "codex"),
    }
    for name, value in homes.items():
        monkeypatch.setenv(name, value)
    AgentHooks(place.hooks, os.environ, tmp_path).install("codex")
    tmp_path.joinpath(".gemini").mkdir()
    tmp_path.joinpath(".gemini/settings.json").write_text("{")
    told: list[Done] = []
    Calls(place, told.append).begin(CheckHooks(("claude", "codex", "gemini")))
    until(lambda: told)
    assert (told[0].value, told[0].reason) == (("claude",), "")
