"""Installing, uninstalling and telling, on real files: links, modes, what changes meanwhile, what is refused."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from teleclaude.core.errors import Conflict, Refused
from teleclaude.hooks import claude_hooks
from teleclaude.hooks.agent_hooks import AGENTS, AgentHooks
from teleclaude.hooks.user_file import UserFile, read_user_file

GEMINI = '{\n  // mine\n  "ui": { "theme": "x" } /* y */\n}\n'
CLAUDE = '{"model":"opus",   "hooks":{"Stop":[{"hooks":[{"type":"command","command":"say"}]}]}}'
CODEX = '# mine\nmodel = "x"\n\n[hooks.state."a:stop:0:0"]\ntrusted_hash = "1"\n'


class Home:
    """A home folder with settings of all agents."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hooks = AgentHooks(path / "state" / "hooks", {"PATH": "/nowhere"}, path)
        self.claude = self._write(".claude/settings.json", CLAUDE)
        self.codex = self._write(".codex/config.toml", CODEX)
        self.gemini = self._write(".gemini/settings.json", GEMINI)
        self.plugin = path / ".config/opencode/plugin/teleclaude.js"

    def _write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    def state(self, agent: str) -> str:
        """How an agent's hooks are."""
        return self.hooks.status(agent).state

    def files(self) -> dict[str, bytes]:
        """All files but our own."""
        ours = self.path / "state"
        paths = [path for path in self.path.rglob("*") if path.is_file() and not path.is_relative_to(ours)]
        return {str(path.relative_to(self.path)): path.read_bytes() for path in paths}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home."""
    return Home(tmp_path)


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_installed_goes_out_to_the_byte(home: Home, agent: str) -> None:
    """Of each agent; a second time changes nothing; a file that was made is gone."""
    before = home.files()
    assert home.state(agent) == "absent"
    home.hooks.install(agent)
    assert home.state(agent) == "installed"
    after = home.files()
    assert after != before
    assert "already" in home.hooks.install(agent)[0]
    assert home.files() == after
    home.hooks.uninstall(agent)
    assert home.state(agent) == "absent"
    assert home.files() == before
    assert "no hooks of ours" in home.hooks.uninstall(agent)[0]


def test_codex_has_them_where_its_user_has_others(home: Home) -> None:
    """In hooks.json, unless there is none and config.toml has hooks; its notes on trust are none."""
    home.hooks.install("codex")
    made = home.codex.with_name("hooks.json")
    assert set(json.loads(made.read_text())) == {"hooks"}
    assert home.codex.read_text() == CODEX
    home.hooks.uninstall("codex")
    home.codex.write_text(CODEX + '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "command"\ncommand = "x"\n')
    before = home.files()
    said = home.hooks.install("codex")
    assert not made.exists()
    assert home.codex.read_text().startswith(CODEX)
    assert any("/hooks" in line for line in said)
    assert any("daemon_auto_start" in line for line in said)
    home.hooks.uninstall("codex")
    assert home.files() == before


def test_what_runs_never_changes(home: Home) -> None:
    """Codex would have its user look at it again: the script's path stays, and is in no version's folder."""
    home.hooks.install("codex")
    commands = {
        handler["command"]
        for groups in json.loads(home.codex.with_name("hooks.json").read_text())["hooks"].values()
        for group in groups
        for handler in group["hooks"]
    }
    script = home.path / "state" / "hooks" / "teleclaude-hook"
    assert f"{script} codex PermissionRequest answer" in commands
    assert all(line.startswith(f"{script} codex ") for line in commands)


def test_a_link_is_written_through_and_the_mode_stays(home: Home) -> None:
    """As dotfile managers have them: a link to a link, to a file of 0640."""
    real, middle = home.path / "dotfiles.json", home.path / "middle"
    home.claude.rename(real)
    real.chmod(0o640)
    middle.symlink_to(real)
    home.claude.symlink_to(middle)
    home.hooks.install("claude")
    assert home.claude.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "teleclaude-hook" in real.read_text()
    home.hooks.uninstall("claude")
    assert (home.claude.is_symlink(), real.read_text()) == (True, CLAUDE)


def test_what_may_not_be_written_is_left_and_said(home: Home) -> None:
    """A read-only file, in words; also by root."""
    home.claude.chmod(0o444)
    with pytest.raises(Refused, match="read-only"):
        home.hooks.install("claude")
    home.claude.chmod(0o600)
    os.link(home.claude, home.path / "other-name")
    with pytest.raises(Refused, match="hard links"):
        home.hooks.install("claude")
    assert home.claude.read_text() == CLAUDE
    assert home.state("claude") == "absent"


@pytest.mark.parametrize("text", ["", "{", '{"hooks": 1}', "[]", '{"a": 1} // c'])
def test_what_cannot_be_read_is_left_and_said(home: Home, text: str) -> None:
    """With the file's name; nothing of it changes, at install and at uninstall."""
    home.claude.write_text(text)
    for act in (home.hooks.install, home.hooks.uninstall):
        with pytest.raises(Refused, match=r"settings\.json"):
            act("claude")
    assert home.claude.read_text() == text
    assert home.state("claude") == "refused"


def test_what_is_not_text_is_left_and_said(home: Home) -> None:
    """Other encodings, folders, pipes, files without end: nothing is waited for."""
    home.claude.write_bytes(CLAUDE.encode("utf-16"))
    assert home.state("claude") == "refused"
    home.claude.unlink()
    os.mkfifo(home.claude)
    assert home.state("claude") == "refused"
    home.claude.unlink()
    home.claude.mkdir()
    with pytest.raises((Refused, OSError)):
        home.hooks.install("claude")
    home.claude.rmdir()
    home.claude.symlink_to("/dev/zero")
    assert home.state("claude") == "refused"


def test_a_copy_of_what_was_there_is_kept(home: Home) -> None:
    """The last few, for nobody else."""
    for _ in range(4):
        home.hooks.install("claude")
        home.hooks.uninstall("claude")
    copies = sorted((home.path / "state" / "hooks" / "copies").iterdir())
    assert len(copies) == 5
    assert CLAUDE in [path.read_text() for path in copies]
    assert {stat.S_IMODE(path.stat().st_mode) for path in copies} == {0o600}


def test_what_changed_since_it_was_read_is_not_overwritten(home: Home) -> None:
    """The agent writes its settings too."""
    file = read_user_file(home.claude)
    home.claude.write_text(CLAUDE + " ")
    with pytest.raises(Conflict):
        file.replace("{}", home.path / "copies", "x")
    assert home.claude.read_text() == CLAUDE + " "
    none = UserFile(home.path / "new", home.path / "new", None, None)
    none.target.touch()
    with pytest.raises(Conflict):
        none.replace("{}", home.path / "copies", "x")


def test_an_older_version_s_hooks_are_brought_up_to_date(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """And go out to the byte afterwards all the same."""
    before = home.files()
    older = {"Stop": {"hooks": [{"type": "command", "command": f"{home.path}/state/hooks/teleclaude-hook claude Old"}]}}
    with monkeypatch.context() as patched:
        patched.setattr(claude_hooks, "entries", lambda *_: older)
        home.hooks.install("claude")
    assert home.state("claude") == "outdated"
    home.hooks.install("claude")
    assert home.state("claude") == "installed"
    home.hooks.uninstall("claude")
    assert home.files() == before


def test_they_go_out_of_where_they_were_put_though_the_settings_are_elsewhere_now(home: Home) -> None:
    """CLAUDE_CONFIG_DIR may be another by then."""
    home.hooks.install("claude")
    moved = AgentHooks(home.path / "state" / "hooks", {"CLAUDE_CONFIG_DIR": str(home.path / "new")}, home.path)
    moved.uninstall("claude")
    assert home.claude.read_text() == CLAUDE


def test_a_plugin_of_somebody_else_stays(home: Home) -> None:
    """Though it bears the name of ours."""
    home.plugin.parent.mkdir(parents=True)
    home.plugin.write_text("// theirs")
    with pytest.raises(Refused):
        home.hooks.install("opencode")
    home.hooks.uninstall("opencode")
    assert home.plugin.read_text() == "// theirs"


def test_hooks_that_are_switched_off_are_told(home: Home) -> None:
    """They are there and do nothing."""
    home.claude.write_text('{"disableAllHooks": true}')
    assert any("disableAllHooks" in line for line in home.hooks.install("claude"))
    home.codex.write_text("[features]\nhooks = false\n")
    assert any("hooks = false" in line for line in home.hooks.install("codex"))
    assert "hooks = false" in home.hooks.status("codex").note


def test_agents_are_found_by_their_folders_and_programs(home: Home, tmp_path: Path) -> None:
    """What is not here is not asked for."""
    assert home.hooks.found() == ["claude", "codex", "gemini"]
    program = tmp_path / "bin" / "opencode"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert "opencode" in AgentHooks(tmp_path / "hooks", {"PATH": str(program.parent)}, tmp_path).found()
