"""The settings file: defaults that work, and errors that say what to do."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import SettingsError
from teleclaude.core.settings import load, parse


def test_no_file_means_defaults(tmp_path: Path) -> None:
    """Without a file everything has a value that works."""
    found = load(tmp_path / "none.toml")
    assert found.computer.name
    assert found.computer.host
    assert {"claude", "codex", "gemini", "shell"} <= set(found.agents)
    assert found.redis.url == found.api.tcp == ""
    assert found.log.level == "info"


def test_every_key_is_read() -> None:
    """What the file says is what there is; built-in agents stay beside own ones."""
    found = parse(
        """
        [computer]
        name = "workstation"
        host = "ws.lan"
        role = "build"
        [projects]
        roots = ["~/code"]
        [[projects.list]]
        path = "~/notes"
        name = "notes"
        description = "where ideas go"
        [agents.claude]
        command = "claude --verbose"
        colour = "red"
        thinking_modes = {deep = "--think"}
        [redis]
        url = "redis://localhost"
        [api]
        tcp = "127.0.0.1:8420"
        [fleet]
        forget_after = 2
        [fleet.allow]
        laptop = ["view"]
        [tmux]
        socket = "work"
        [log]
        level = "debug"
        """
    )
    assert (found.computer.name, found.computer.host, found.computer.role) == ("workstation", "ws.lan", "build")
    assert found.projects.list[0].description == "where ideas go"
    assert found.agents["claude"].thinking_modes == {"deep": "--think"}
    assert found.agents["codex"].command == "codex"
    assert found.fleet.allow == {"laptop": ("view",)}
    assert found.fleet.forget_after == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[computer]\nnmae = 'x'", r"line 2: unknown key `computer.nmae`; did you mean `name`"),
        ("[computr]\nname = 'x'", r"line 1: unknown key `computr`; did you mean `computer`"),
        ("[zzz]\n", r"unknown key `zzz`; allowed are: computer, projects"),
        ("[computer]\nname = 3", r"line 2: `computer.name` must be str, not int"),
        ("[log]\nlevel = 'loud'", r"line 2: `log.level` must be one of debug, info, warning, error, not 'loud'"),
        ("[agents.own]\ncolour = 'red'", r"command"),
        ("[agents.claude]\nwait_for_answer = 541", r"agents.claude.wait_for_answer. must be from 0 to 540 seconds"),
        ("[agents.claude]\ncommand = 'x'\nflags = 1", r"unknown key `agents.claude.flags`"),
        (
            "[[projects.list]]\npath = '~/x'\ndescripton = 'y'",
            r"unknown key `projects.list.0.descripton`; did you mean",
        ),
        ("[computer]\nname = 'a b'", r"line 2: .*computer.name` must be 1 to 128 letters"),
        ("[computer]\nhost = '-oProxyCommand=x'", r"computer.host` must be a host name"),
        ("[computer]\nhost = 'me@ws.lan'", r"computer.host` must be a host name .* without a user"),
        ("[tmux]\nsocket = '/tmp/x'", r"line 2: `tmux.socket` must be a name"),
        ("[tmux]\nsocket = '-L x'", r"line 2: `tmux.socket` must be a name"),
        ('[agents.x]\ncommand = "\'unclosed"', r"agents.x.command` is not a command line"),
        ("[agents.x]\ncommand = ''", r"agents.x.command` must not be empty"),
        ("[agents.x]\ncommand = 'x'\ndetect = ['a b']", r"line 3: `agents.x.detect` holds 'a b'; a program is named"),
        ("[agents.x]\ncommand = 'x'\ndetect = ['/bin/y']", r"`agents.x.detect` holds '/bin/y'; a program is named"),
        ("[agents.x]\ncommand = 'x'\ndetect = ['python3.11']", r"holds 'python3.11', which runs all kinds of programs"),
        ("[agents.x]\ncommand = 'x'\ndetect = 'y'", r"`agents.detect` must be array"),
        (
            "[agents.x]\ncommand = 'x'\ndetect = ['z']\n[agents.y]\ncommand = 'y'\ndetect = ['z']",
            r"`agents.y.detect` holds 'z', which is in `agents.x.detect` too",
        ),
        ("[api]\ntcp = 'everywhere'", r"line 2: `api.tcp` must be \"address:port\""),
        ("[redis]\nprefix = 'a{b}'", r"redis.prefix` must be short"),
        ("[fleet]\nforget_after = -1", r"fleet.forget_after` must be a number of hours above 0"),
        (
            "[fleet.allow]\nraspi = ['dance']",
            r"fleet.allow.* must be one of view, message, start, end, shell, approve, not 'dance'",
        ),
        ("name = ", r"not valid TOML: Invalid value"),
        ("[computer]\nname = 'a'\n[computer]\nname = 'b'", r"not valid TOML"),
    ],
)
def test_a_wrong_file_is_told_by_key_line_and_reason(text: str, says: str) -> None:
    """An error names the key, its line, the reason and what is allowed."""
    with pytest.raises(SettingsError, match=says):
        parse(text)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Invalid UTF-8 and a folder in the file's place are told, not taken for defaults."""
    bad = tmp_path / "config.toml"
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"config\.toml: cannot be read"):
        load(bad)
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path)


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_explain(text: str) -> None:
    """Whatever stands in the file, the answer is settings or a SettingsError."""
    with contextlib.suppress(SettingsError):
        assert parse(text).computer.name


def test_a_built_in_agent_may_be_changed_in_part() -> None:
    """Its command stays what it is without settings."""
    claude = parse("[agents.claude]\nwait_for_answer = 60").agents["claude"]
    assert (claude.command, claude.colour, claude.wait_for_answer) == ("claude", "orange", 60)
