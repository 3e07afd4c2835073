"""What a command line runs, and which agent that is. Pure: words in, names out.

Rules:
- A program is known by its name, not by its place: `/opt/x/claude`, `claude.exe`, `.claude-wrapped`, `claude-raw` and
  the package `@anthropic-ai/claude-code` are all "claude".
- What only runs something else is named by that: an interpreter by its script, `sudo` by its command.
- An agent's own servers (`codex app-server`) are no sessions.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from teleclaude.core.settings import AgentProfile

SHELLS: Final = frozenset(
    {"bash", "zsh", "fish", "sh", "dash", "ash", "ksh", "mksh", "tcsh", "csh", "nu", "xonsh", "elvish", "pwsh"}
)
_INTERPRETERS: Final = SHELLS | {"node", "nodejs", "bun", "deno", "ruby", "perl", "python", "pypy", "tsx", "ts-node"}
_ENDINGS: Final = (".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".rb", ".pl", ".exe")
_TAKE_A_WORD: Final = frozenset({"--rcfile", "--init-file", "-o", "+o", "-O", "+O"})  # of shells
_BEFORE_SCRIPT: Final = frozenset({"-r", "--require", "--import", "--loader", "-C", "-W", "-X"})  # of interpreters
_WRAPPED: Final = re.compile(r"(.+?)(?:(?:-wrapped|-unwrapped|-raw)_*)+")
_NO_NAMES: Final = frozenset({"cli", "cli-wrapper", "index", "main", "bin", "run", "start", "app", "__main__"})
_PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {"claude-code": "claude", "codex-cli": "codex", "gemini-cli": "gemini", "opencode-ai": "opencode"}
)
_SERVERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"claude": frozenset({"mcp"}), "codex": frozenset({"app-server", "mcp-server"}), "opencode": frozenset({"serve"})}
)
_SHELL_WORDS: Final = re.compile(r"[;&|<>$`\n(){}]")
_MOST_WRAPPERS: Final = 6


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """A program that runs the command behind its own words.

    `after`: words of which one must come first; `takes`: flags with a word of their own; `skips`: words before the
    command; `text`: the flag behind which the command stands as one text.
    """

    after: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    skips: int = 0
    text: str = ""


def _wrapper(after: str = "", takes: str = "", skips: int = 0, text: str = "") -> _Wrapper:
    return _Wrapper(frozenset(after.split()), frozenset(takes.split()), skips, text)


_RUN: Final = _wrapper("run")
_SUDO: Final = _wrapper(takes="-u -g -h -p -C -T -r -t -D -R -U --user --group --chdir")
_NPX: Final = _wrapper(takes="-p --package")
_UVX: Final = _wrapper(takes="--with --from --python -p --index-url")
_WRAPPERS: Final[Mapping[str, _Wrapper]] = MappingProxyType(
    {
        **dict.fromkeys(("nohup", "setsid", "time", "command", "chrt", "dbus-run-session", "firejail"), _wrapper()),
        **dict.fromkeys(("poetry", "pdm", "hatch", "rye", "pipenv", "pixi", "pipx", "devbox"), _RUN),
        **dict.fromkeys(("sudo", "doas"), _SUDO),
        **dict.fromkeys(("npx", "bunx", "pnpx"), _NPX),
        "env": _wrapper(takes="-u -C --unset --chdir"),
        "nice": _wrapper(takes="-n"),
        "ionice": _wrapper(takes="-c -n"),
        "stdbuf": _wrapper(takes="-i -o -e"),
        "exec": _wrapper(takes="-a"),
        "timeout": _wrapper(takes="-s -k --signal --kill-after", skips=1),
        "uvx": _UVX,
        "uv": _Wrapper(frozenset({"run"}), _UVX.takes | {"--directory", "--project", "--env-file"}),
        "npm": _wrapper("exec x"),
        "pnpm": _wrapper("exec dlx"),
        "yarn": _wrapper("exec dlx run"),
        "bun": _wrapper("x"),
        "mise": _wrapper("exec x"),
        "asdf": _wrapper("exec"),
        "direnv": _wrapper("exec", skips=1),
        **dict.fromkeys(("script", "su", *SHELLS), _wrapper(text="-c")),
    }
)


def signature(argv: Sequence[str]) -> str:
    """Name a command line by what it runs; empty for none.

    `claude -c` is "claude", `node /usr/bin/codex.js` is "codex", `python -m agent` is "agent", `timeout 60 claude` is
    "claude".
    """
    words = [word for word in argv if word]
    for _ in range(_MOST_WRAPPERS):
        inner = _unwrapped(words)
        if not inner:
            break
        words = inner
    return next(iter(_names(words)), "")


def _names(words: list[str]) -> tuple[str, ...]:
    """All names of what runs, the best first: a script's own, and that of its package; not of what a wrapper runs."""
    if not words:
        return ()
    first = base_name(words[0])
    script = _script(words) if _is_interpreter(first) else ""
    if not script or any(char.isspace() for char in script):
        return (first,)
    name, package = base_name(script), _package(script)
    if not package:
        return (name or first,)
    return (package, name) if name in _NO_NAMES else (name, package)


def agent_named(argv: Sequence[str], name: str, profiles: Mapping[str, str]) -> str:
    """Give the profile of a process by its command line and its own name; empty for none.

    What a wrapper runs is a process of its own, and found as that. `profiles`: what `profiles_by_name` gives.
    """
    words = [word for word in argv if word]
    if len(words) == 1:  # maybe a title that a program gave itself
        words = words[0].split()
    for each in (*_names(words), base_name(name)):
        found = profiles.get(each)
        if found:
            return "" if is_server(each, argv) else found
    return ""


def is_server(name: str, argv: Sequence[str]) -> bool:
    """Tell whether a command line is that of an agent's server, with which nobody speaks at a terminal."""
    return not _SERVERS.get(name, frozenset()).isdisjoint(argv[1:])


def profiles_by_name(agents: Mapping[str, AgentProfile]) -> dict[str, str]:
    """Map the names of programs to profiles: those of `detect`, and what a command runs, of equals the first."""
    found: dict[str, str] = {}
    for name, profile in agents.items():
        run = signature(shlex.split(profile.command))
        if run and run not in SHELLS:
            found.setdefault(run, name)
    for name, profile in agents.items():
        found.update({base_name(each): name for each in profile.detect})
    return found


def is_interactive(argv: Iterable[str]) -> bool:
    """Tell whether a command line is a shell that takes commands from its terminal: no script, no `-c`."""
    words = [word for word in argv if word]
    if not words or base_name(words[0]) not in SHELLS:
        return False
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word[0] not in "-+" or (word[1:2] != "-" and "c" in word):
            return False
        else:
            skip = word in _TAKE_A_WORD
    return True


def base_name(word: str) -> str:
    """The plain name of a program: no folder, ending, version, nor what a packager put around it."""
    name = os.path.basename(word).lstrip("-.")
    name = name.partition("@")[0] or name
    name = next((name[: -len(end)] for end in _ENDINGS if name.endswith(end)), name)
    wrapped = _WRAPPED.fullmatch(name)
    name = wrapped[1] if wrapped else name
    return _PACKAGES.get(name, name)


def is_runner(name: str) -> bool:
    """Tell whether a program, by its plain name, only runs others."""
    return name in _WRAPPERS or _is_interpreter(name)


def _is_interpreter(name: str) -> bool:
    return name in _INTERPRETERS or name.rstrip("0123456789.") in _INTERPRETERS


def _script(words: list[str]) -> str:
    """What an interpreter runs; empty when it is told in its arguments, or nothing."""
    skip = False
    for at, word in enumerate(words[1:], 1):
        if skip:
            skip = False
        elif word == "-m":
            return words[at + 1].partition(".")[0] if at + 1 < len(words) else ""
        elif word in _BEFORE_SCRIPT:
            skip = True
        elif not word.startswith("-") and "=" not in word:
            return word
    return ""


def _package(script: str) -> str:
    """The package of Node that a script is in; empty for none."""
    _, found, inside = script.rpartition("/node_modules/")
    parts = inside.split("/")
    if not found or len(parts) < 2 or parts[0] == ".bin":
        return ""
    return base_name(parts[1] if parts[0].startswith("@") else parts[0])


def _unwrapped(words: list[str]) -> list[str]:
    """The command that a wrapper runs; none for what is no wrapper."""
    wrapper = _WRAPPERS.get(base_name(words[0])) if words else None
    if wrapper is None:
        return []
    if wrapper.text:
        return _text_behind(words, wrapper.text)
    rest, left, awaited = iter(words[1:]), wrapper.skips, wrapper.after
    for word in rest:
        if word in wrapper.takes:
            next(rest, None)
        elif word.startswith("-") or "=" in word:
            continue
        elif awaited:
            if word not in awaited:
                return []
            awaited = frozenset()
        elif left:
            left -= 1
        else:
            return [word, *rest]
    return []


def _text_behind(words: list[str], flag: str) -> list[str]:
    """A command given as one text: only one that is a single plain command."""
    text = next((after for word, after in pairwise(words[1:]) if word == flag), "")
    if not text or _SHELL_WORDS.search(text):
        return []
    try:
        return shlex.split(text)
    except ValueError:
        return []
