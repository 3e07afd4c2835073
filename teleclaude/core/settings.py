"""The settings file: TOML, every key optional, unknown keys refused.

What must live here: the shape, the defaults, and errors that name key, line, reason and what is allowed. What this
module must not know: what any setting is used for.
"""

from __future__ import annotations

import difflib
import re
import shlex
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from teleclaude.core.errors import SettingsError
from teleclaude.core.notify_settings import CHOICES, DEFAULT_RULES, NotifyRule, check_notify
from teleclaude.core.paths import Places, is_tmux_socket
from teleclaude.core.verbs import Right

NAME_LIMIT = 128
ANSWER_MOST = 540  # seconds that an agent may wait for an answer; Codex gives up after 600
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PROGRAM = re.compile(r"[A-Za-z0-9._+][A-Za-z0-9._+-]{0,63}")
_RUN_ALL = frozenset(
    {"node", "bun", "deno", "python", "ruby", "perl", "sh", "bash", "zsh", "fish", "dash", "env", "npx", "sudo", "ssh"}
)
DETECT_LIMIT = 32
_NAME_RULE = (
    f"must be 1 to {NAME_LIMIT} letters, digits, dots, dashes or underscores, beginning with a letter or a digit"
)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class ComputerSettings(_Table, frozen=True, kw_only=True):
    """`[computer]`: `name` in the shared view; `host` is what others give to ssh; `role` is free text."""

    name: str = ""
    host: str = ""
    role: str = ""


class ProjectEntry(_Table, frozen=True, kw_only=True):
    """`[[projects.list]]`: one project by hand."""

    path: str
    name: str = ""
    description: str = ""


class ProjectSettings(_Table, frozen=True, kw_only=True):
    """`[projects]`: each git repository below a root (two levels) is a project."""

    roots: tuple[str, ...] = ()
    list: tuple[ProjectEntry, ...] = ()


class AgentProfile(_Table, frozen=True, kw_only=True):
    """`[agents.NAME]`: a command line, its colour in the tree, and extra arguments per thinking mode.

    `ready`: a text that its screen shows once it takes a prompt, for what teleclaude does not know by itself. `detect`:
    names of programs that are this agent, besides the one that the command runs.
    `wait_for_answer`: seconds for which its hook waits for an answer from afar; 0: it does not wait.
    """

    command: str
    colour: str = "white"
    thinking_modes: dict[str, str] = {}
    ready: str = ""
    detect: tuple[str, ...] = ()
    wait_for_answer: float = 0.0


class RedisSettings(_Table, frozen=True, kw_only=True):
    """`[redis]`: empty url means no fleet. Written by `teleclaude fleet create | join`."""

    url: str = ""
    prefix: str = "teleclaude:"
    cluster: bool = False
    ca_file: str = ""


class FleetSettings(_Table, frozen=True, kw_only=True):
    """`[fleet]`: `allow` maps a sender's name, or "*", to what it may do here.

    "shell", which nobody has unless it is written there, is what `start` needs besides for a profile that is the login
    shell. `forget_after`: hours after which a computer that is gone leaves the view. `embedded`: the address
    ("127.0.0.1:6399") on which this daemon runs the fleet's own server; empty for none.
    """

    allow: dict[str, tuple[Right, ...]] = msgspec.field(
        default_factory=lambda: {"*": ("view", "message", "start", "end")}
    )
    forget_after: float = 24.0
    embedded: str = ""


class ApiSettings(_Table, frozen=True, kw_only=True):
    """`[api]`: `tcp` is "address:port", empty for none; tokens are always required there.

    `hosts` and `origins`: exact values allowed besides the address itself. A non-loopback address needs
    `tls_cert` and `tls_key`, or `behind_tunnel`.
    """

    tcp: str = ""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    behind_tunnel: bool = False


class TmuxSettings(_Table, frozen=True, kw_only=True):
    """`[tmux]`: `socket` is a name as in `tmux -L`; the environment variable wins."""

    socket: str = ""


class PrivacySettings(_Table, frozen=True, kw_only=True):
    """`[privacy]`: `share` is what other computers get of this one's sessions.

    "state": where they are, and what they do; no title, and no screen. "titles": the titles too. "all": also what an
    agent asks, and the begin of its last prompt and answer.
    """

    share: Literal["state", "titles", "all"] = "titles"


class LogSettings(_Table, frozen=True, kw_only=True):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class _File(_Table, frozen=True, kw_only=True):
    computer: ComputerSettings = ComputerSettings()
    projects: ProjectSettings = ProjectSettings()
    agents: dict[str, AgentProfile] = {}
    redis: RedisSettings = RedisSettings()
    fleet: FleetSettings = FleetSettings()
    api: ApiSettings = ApiSettings()
    tmux: TmuxSettings = TmuxSettings()
    log: LogSettings = LogSettings()
    privacy: PrivacySettings = PrivacySettings()
    notify: tuple[NotifyRule, ...] = DEFAULT_RULES


class Settings(_File, frozen=True, kw_only=True):
    """All settings, with defaults filled in: `computer.name`, `computer.host` and the built-in agents."""


_CHOICES = {
    "log.level": ("debug", "info", "warning", "error"),
    "fleet.allow": get_args(Right),
    "privacy.share": ("state", "titles", "all"),
    **CHOICES,
}

BUILT_IN_AGENTS = {
    "claude": AgentProfile(command="claude", colour="orange"),
    "codex": AgentProfile(command="codex", colour="cyan"),
    "gemini": AgentProfile(command="gemini", colour="blue"),
    "opencode": AgentProfile(command="opencode", colour="magenta"),
    "shell": AgentProfile(command="", colour="green"),
}


def load(path: Path) -> Settings:
    """Read the settings; a missing file means defaults. Raises SettingsError naming key, line and reason."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    try:
        return parse(text)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.message}", field=error.field) from error


def load_in_force(place: Places) -> Settings:
    """Read the settings as the supervisor last found them right; without a supervisor, the file itself.

    So a worker that comes back, or is told to reload, never meets a file that is just being edited.
    """
    copy = place.settings_in_force
    return load(copy if copy.exists() else place.settings_file)


def parse(text: str) -> Settings:
    """Read settings from TOML text. Raises SettingsError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}") from error
    _refuse_unknown(data, _File, "", text)
    _fill_in_commands(data)
    try:
        found = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise _explained(str(error), text) from error
    _check(found, text)
    return _with_defaults(found)


def _fill_in_commands(data: dict[str, Any]) -> None:
    """Have a built-in agent's table, of which the settings change something, run what it runs without them."""
    tables = data.get("agents")
    if not isinstance(tables, dict):
        return
    for name, built_in in BUILT_IN_AGENTS.items():
        if isinstance(table := tables.get(name), dict):
            tables[name] = {"command": built_in.command, "colour": built_in.colour, **table}


def _with_defaults(found: _File) -> Settings:
    host = socket.gethostname()
    name = found.computer.name or re.sub(r"[^A-Za-z0-9._-]", "-", host.split(".")[0]).strip("-._") or "computer"
    return Settings(
        computer=ComputerSettings(name=name, host=found.computer.host or host, role=found.computer.role),
        projects=found.projects,
        agents={**BUILT_IN_AGENTS, **found.agents},
        redis=found.redis,
        fleet=found.fleet,
        api=found.api,
        tmux=found.tmux,
        log=found.log,
        privacy=found.privacy,
        notify=found.notify,
    )


def _table_type(field_type: Any) -> tuple[type[msgspec.Struct] | None, str]:
    """Give the table type within a field's type, and how it is held: one, list or dict."""
    if isinstance(field_type, type) and issubclass(field_type, msgspec.Struct):
        return field_type, "one"
    args = getattr(field_type, "__args__", ())
    held = next((a for a in args if isinstance(a, type) and issubclass(a, msgspec.Struct)), None)
    return held, "dict" if getattr(field_type, "__origin__", None) is dict else "list"


def _refuse_unknown(data: dict[str, Any], table: type[msgspec.Struct], where: str, text: str) -> None:
    """Raise for the first key that `table` does not have, with the nearest right name."""
    fields = {field.name: field.type for field in msgspec.structs.fields(table)}
    for key, value in data.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1, 0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"allowed are: {', '.join(fields)}"
            raise SettingsError(f"{_at(text, key)}unknown key `{where}{key}`; {hint}", field=where + key)
        inner, how = _table_type(fields[key])
        if inner is None:
            continue
        held = {"one": [("", value)], "dict": _pairs(value), "list": _pairs(value)}[how]
        for name, item in held:
            if isinstance(item, dict):
                _refuse_unknown(item, inner, f"{where}{key}.{name}." if name else f"{where}{key}.", text)


def _pairs(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return [(str(number), item) for number, item in enumerate(value)] if isinstance(value, list) else []


def _explained(message: str, text: str) -> SettingsError:
    """Turn msgspec's "Expected `str`, got `int` - at `$.computer.name`" into our own words."""
    reason, _, path = message.partition(" - at `$")
    key = path.rstrip("`").lstrip(".").replace("[...]", "")
    what = reason.replace("Expected", "must be").replace("`", "").replace(", got", ", not")
    bare = re.sub(r"\[\d+\]", "", key)
    choices = next((choices for place, choices in _CHOICES.items() if bare.startswith(place)), None)
    if choices and reason.startswith("Invalid enum value"):
        what = f"must be one of {', '.join(choices)}, not {reason.removeprefix('Invalid enum value ')}"
    return SettingsError(f"{_at(text, key.rpartition('.')[2])}`{key or 'file'}` {what}", field=key or None)


def is_name(name: str) -> bool:
    """Tell whether this can be the name of a computer or of a profile."""
    return _NAME.fullmatch(name) is not None


def _at(text: str, key: str) -> str:
    """Name the first line on which `key` is set, best effort, as `line N: `."""
    pattern = re.compile(rf"^\s*(\[+[^\]]*\b)?[\"']?{re.escape(key)}[\"']?\s*(=|\]|\.)")
    number = next((n for n, line in enumerate(text.splitlines(), 1) if key and pattern.search(line)), None)
    return f"line {number}: " if number else ""


def _check(found: _File, text: str) -> None:
    """Check what types cannot say."""

    def refuse(key: str, reason: str) -> None:
        raise SettingsError(f"{_at(text, key.rpartition('.')[2])}`{key}` {reason}", field=key)

    if found.computer.name and not _NAME.fullmatch(found.computer.name):
        refuse("computer.name", _NAME_RULE)
    if found.computer.host and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:%-]{0,252}", found.computer.host):
        refuse("computer.host", "must be a host name or address, as given to ssh, without a user")
    _check_agents(found.agents, refuse)
    check_notify(found.notify, refuse)
    if found.fleet.forget_after <= 0:
        refuse("fleet.forget_after", "must be a number of hours above 0")
    if any(c in found.redis.prefix for c in "{}\0 \n") or len(found.redis.prefix) > NAME_LIMIT:
        refuse("redis.prefix", "must be short and without braces, blanks or NUL")
    if found.tmux.socket and not is_tmux_socket(found.tmux.socket):
        refuse("tmux.socket", "must be a name as in `tmux -L NAME`: letters, digits, dots, dashes or underscores")
    if found.api.tcp and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}", found.api.tcp):
        refuse("api.tcp", 'must be "address:port", as "127.0.0.1:8420"')


def _check_agents(agents: dict[str, AgentProfile], refuse: Callable[[str, str], None]) -> None:
    for name, profile in agents.items():
        if not _NAME.fullmatch(name):
            refuse("agents", f"has the name {name[:40]!r}; it {_NAME_RULE}")
        try:
            argv = shlex.split(profile.command)
        except ValueError as error:
            refuse(f"agents.{name}.command", f"is not a command line: {error}")
        else:
            if not argv and name != "shell":
                refuse(f"agents.{name}.command", "must not be empty")
        if not 0 <= profile.wait_for_answer <= ANSWER_MOST:
            refuse(f"agents.{name}.wait_for_answer", f"must be from 0 to {ANSWER_MOST} seconds")
    _check_detect(agents, refuse)


def _check_detect(agents: dict[str, AgentProfile], refuse: Callable[[str, str], None]) -> None:
    """A name of a program tells one agent: no path, no program that runs all kinds of others, and in one list only."""
    owner: dict[str, str] = {}
    for name, profile in agents.items():
        key = f"agents.{name}.detect"
        if len(profile.detect) > DETECT_LIMIT:
            refuse(key, f"must be at most {DETECT_LIMIT} names")
        for program in profile.detect:
            if not _PROGRAM.fullmatch(program):
                refuse(key, f'holds {program[:40]!r}; a program is named without its folder and arguments, as "aider"')
            if program.rstrip("0123456789.") in _RUN_ALL:
                refuse(key, f"holds {program!r}, which runs all kinds of programs: name what it runs")
            if owner.setdefault(program, name) != name:
                refuse(key, f"holds {program!r}, which is in `agents.{owner[program]}.detect` too")
