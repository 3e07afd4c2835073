"""Putting hooks into the settings of each agent, taking them out, and telling how that stands.

Nothing is changed of a file that cannot be read as what it should be, and nothing of it but our entries.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from teleclaude.core.errors import InvalidField, Refused, TeleclaudeError, UserError
from teleclaude.hooks import claude_hooks, codex_hooks, gemini_hooks
from teleclaude.hooks.hook_entries import Entries
from teleclaude.hooks.hook_files import plugin, put_script, script_in
from teleclaude.hooks.hook_record import HookRecord, Inserted
from teleclaude.hooks.json_hooks import JsonHooks
from teleclaude.hooks.json_text import read_json
from teleclaude.hooks.toml_hooks import TomlHooks
from teleclaude.hooks.user_file import UserFile, read_user_file

AGENTS: Final = {"claude": "Claude Code", "codex": "Codex", "gemini": "Gemini CLI", "opencode": "opencode"}
_PROGRAMS: Final = dict(zip(AGENTS, AGENTS, strict=True))

State: TypeAlias = Literal["installed", "outdated", "absent", "refused"]


@dataclass(frozen=True, slots=True)
class HookState:
    """How the hooks of an agent are. `file`: where they are or would be; `note`: what is wrong."""

    agent: str
    state: State
    file: Path | None
    note: str = ""


class AgentHooks:
    """The hooks of this user's agents. `folder`: our own, `Places.hooks`; `home` and `environ` say where theirs are.

    `wait`: seconds for which Claude Code waits for an answer from afar.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], home: Path, wait: float = 0.0) -> None:
        self._folder, self._environ, self._home, self._wait = folder, environ, home, wait
        self._script = script_in(folder)

    def found(self) -> list[str]:
        """Name the agents that this user has: by their programs, or the folders of their settings."""
        return [agent for agent in AGENTS if self._has(agent)]

    def _has(self, agent: str) -> bool:
        program = shutil.which(_PROGRAMS[agent], path=self._environ.get("PATH"))
        return program is not None or self._folder_of(agent).is_dir()

    def _folder_of(self, agent: str) -> Path:
        match agent:
            case "claude":
                return claude_hooks.settings_file(self._environ, self._home).parent
            case "codex":
                return codex_hooks.folder_of(self._environ, self._home)
            case "gemini":
                return gemini_hooks.settings_file(self._home).parent
            case _:
                own, base = self._environ.get("OPENCODE_CONFIG_DIR", ""), self._environ.get("XDG_CONFIG_HOME", "")
                return Path(own) if own else (Path(base) if base else self._home / ".config") / "opencode"

    def file_of(self, agent: str) -> Path:
        """Give the file that has an agent's hooks, or would have them. Raises Refused, InvalidField, OSError."""
        match agent:
            case "claude":
                return claude_hooks.settings_file(self._environ, self._home)
            case "codex":
                return codex_hooks.settings_file(self._folder_of(agent))
            case "gemini":
                return gemini_hooks.settings_file(self._home)
            case "opencode":
                return self._folder_of(agent) / "plugin" / "teleclaude.js"
        raise InvalidField("agent", f"must be one of {', '.join(AGENTS)}, not {agent!r}")

    def _entries(self, agent: str) -> Entries:
        if agent == "claude":
            return claude_hooks.entries(self._script, self._wait)
        return codex_hooks.entries(self._script) if agent == "codex" else gemini_hooks.entries(self._script)

    # What is asked for.

    def install(self, agent: str) -> list[str]:
        """Put an agent's hooks in; say what was done, and what its user is to do. Raises TeleclaudeError, OSError."""
        path = self.file_of(agent)
        put_script(self._folder)
        file = read_user_file(path)
        record = HookRecord(self._folder)
        with _named(file):
            text, inserted = self._with_hooks(agent, file, record.get(path))
        if text == file.text:
            return [f"{AGENTS[agent]}: the hooks are in {path} already", *self._left_to_do(agent)]
        # Said before it is done: a crash in between leaves a note of what may not be there, which harms nothing.
        record.put(path, inserted)
        file.replace(text, self._folder / "copies", f"{agent}-{path.name}")
        return [f"{AGENTS[agent]}: the hooks are in {path}; {_IN_FORCE[agent]}", *self._left_to_do(agent)]

    def uninstall(self, agent: str) -> list[str]:
        """Take an agent's hooks out of all files that have them, and say so. Raises TeleclaudeError, OSError."""
        record = HookRecord(self._folder)
        paths = [Path(path) for path, inserted in record.files.items() if inserted.agent == agent]
        here = self.file_of(agent)
        done = [self._take_out(agent, path, record) for path in dict.fromkeys((*paths, here))]
        said = [line for line in done if line]
        return said or [f"{AGENTS[agent]}: there are no hooks of ours in {here}"]

    def _take_out(self, agent: str, path: Path, record: HookRecord) -> str:
        file, inserted = read_user_file(path), record.get(path)
        with _named(file):
            text = self._without_hooks(agent, file, inserted)
        copies, name = self._folder / "copies", f"{agent}-{path.name}"
        if text is None and file.text is not None:
            file.remove(copies, name)
        elif text is not None and text != file.text:
            file.replace(text, copies, name)
        if inserted is not None:
            record.put(path, None)
        if text == file.text:
            return ""
        rest = "" if text is not None else ", which is gone with them"
        return f"{AGENTS[agent]}: the hooks are out of {path}{rest}"

    def status(self, agent: str) -> HookState:
        """Tell how an agent's hooks are. Raises InvalidField."""
        path: Path | None = None
        try:
            path = self.file_of(agent)
            file = read_user_file(path)
            if file.text is None:
                return HookState(agent, "absent", path)
            with _named(file):
                return self._state_of(agent, file)
        except InvalidField:
            raise
        except UserError as error:
            return HookState(agent, "refused", path, error.message)
        except OSError as error:
            return HookState(agent, "refused", path, f"{error.filename or path}: {error.strerror}")

    def _state_of(self, agent: str, file: UserFile) -> HookState:
        assert file.text is not None
        if agent == "opencode":
            is_right, is_there = file.text == plugin(self._folder), _is_our_plugin(file.text)
        else:
            hooks = self._hooks(agent, file)
            is_right = hooks.has_all(self._entries(agent)) and self._script.exists()
            is_there = hooks.has_any()
        if is_right:
            return HookState(agent, "installed", file.path, self._switched_off(agent, file))
        return HookState(agent, "outdated" if is_there else "absent", file.path)

    # Texts.

    def _hooks(self, agent: str, file: UserFile) -> JsonHooks | TomlHooks:
        text = file.text if file.text is not None else "" if file.path.suffix == ".toml" else "{}\n"
        if file.path.suffix == ".toml":
            return TomlHooks(text, self._script)
        is_gemini = agent == "gemini"
        return JsonHooks(text, self._script, comments=is_gemini, switch=gemini_hooks.SWITCH if is_gemini else None)

    def _with_hooks(self, agent: str, file: UserFile, old: Inserted | None) -> tuple[str, Inserted]:
        """Give a file's text with the hooks in it, and what that put in."""
        made_file = file.text is None or (old is not None and old.made_file)
        if agent == "opencode":
            if file.text is not None and not _is_our_plugin(file.text):
                raise Refused("it is not of teleclaude, and stands where its plugin belongs")
            return plugin(self._folder), Inserted(agent=agent, made_file=True)
        entries, hooks = self._entries(agent), self._hooks(agent, file)
        if file.text is not None and hooks.has_all(entries):
            return file.text, old or Inserted(agent=agent)
        if hooks.has_any():
            hooks.uninstall(old)
        hooks.install(entries)
        return hooks.text, hooks.inserted(agent, made_file=made_file)

    def _without_hooks(self, agent: str, file: UserFile, inserted: Inserted | None) -> str | None:
        """Give a file's text without the hooks; None for a file that is to go with them, or is not there."""
        if file.text is None:
            return None
        if agent == "opencode":
            return None if _is_our_plugin(file.text) else file.text
        hooks = self._hooks(agent, file)
        hooks.uninstall(inserted)
        is_ours = inserted is not None and inserted.made_file and hooks.is_empty()
        return None if is_ours else hooks.text

    def _left_to_do(self, agent: str) -> Iterator[str]:
        if agent == "codex":
            yield from codex_hooks.REVIEW
        off = self._switched_off(agent, read_user_file(self.file_of(agent)))
        if off:
            yield f"but {off}"

    def _switched_off(self, agent: str, file: UserFile) -> str:
        if agent == "claude" and file.text is not None:
            return claude_hooks.switched_off(read_json(file.text, comments=False).data)
        return codex_hooks.switched_off(file.path.parent) if agent == "codex" else ""


_IN_FORCE: Final = {
    "claude": "they count from its next start",
    "codex": "they count once they are allowed",
    "gemini": "they count from its next start",
    "opencode": "it counts from its next start",
}


def _is_our_plugin(text: str) -> bool:
    return text.startswith("// Of teleclaude:")


class _named:  # noqa: N801  (used as a statement)
    """Say in an error of what is read which file it is about."""

    def __init__(self, file: UserFile) -> None:
        self._path = file.target

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Put the file's name before what the error says."""
        if isinstance(error, TeleclaudeError) and str(self._path) not in error.message:
            raise type(error)(f"{self._path} is left as it is: {error.message}") from error
