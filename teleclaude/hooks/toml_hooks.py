"""Our entries in Codex' config.toml: appended as tables, and taken out to the byte. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teleclaude.core.errors import Refused
from teleclaude.hooks.hook_entries import Entries, Group, is_as_wanted, is_ours, ours_in
from teleclaude.hooks.hook_record import Inserted
from teleclaude.hooks.toml_text import TomlSection, append, cut, read_toml, sections, string

STATE = "state"  # where Codex keeps what its user said of each hook; no event


@dataclass(slots=True)
class TomlHooks:
    """One file's text, with what is known to be ours in it."""

    text: str
    script: Path
    ended_line: bool = False

    def has_all(self, entries: Entries) -> bool:
        """Tell whether all is there as it should be."""
        return is_as_wanted(read_toml(self.text), entries, self.script, STATE)

    def has_any(self) -> bool:
        """Tell whether anything of ours is there."""
        return bool(ours_in(read_toml(self.text), self.script, STATE))

    def inserted(self, agent: str, *, made_file: bool) -> Inserted:
        """Say what was put in, so that it can be taken out."""
        return Inserted(agent=agent, made_file=made_file, ended_line=self.ended_line)

    def install(self, entries: Entries) -> None:
        """Put the entries in. Raises Refused for a file in which there is no room for tables."""
        read_toml(self.text)
        text = self.text
        for event, group in entries.items():
            text, is_open = append(text, _lines(event, group))
            self.ended_line |= is_open
        try:
            found = TomlHooks(text, self.script).has_all(entries)
        except Refused as error:
            raise Refused("its `hooks` are written in one line, to which no tables can be added") from error
        if not found:
            raise Refused("the entries cannot be put in without touching others")
        self.text = text

    def uninstall(self, inserted: Inserted | None) -> None:
        """Take out all that is ours. Raises Refused."""
        expected = _without(read_toml(self.text), self.script)
        while place := _next(self.text, self.script):
            is_last = place[1] == len(self.text)
            self.text = cut(self.text, *place)
            if is_last and inserted is not None and inserted.ended_line and not _next(self.text, self.script):
                self.text = self.text.removesuffix("\n").removesuffix("\r")
        left = read_toml(self.text)
        if ours_in(left, self.script, STATE) or _without(left, self.script) != expected:
            raise Refused("our entries cannot be taken out without touching others: take them out by hand")

    def is_empty(self) -> bool:
        """Tell whether nothing is left."""
        return not self.text.strip()


def _lines(event: str, group: Group) -> list[str]:
    lines = [f"[[hooks.{event}]]"]
    for handler in group["hooks"]:
        lines.append(f"[[hooks.{event}.hooks]]")
        lines += [f"{key} = {string(value) if isinstance(value, str) else value}" for key, value in handler.items()]
    return lines


def _next(text: str, script: Path) -> tuple[int, int] | None:
    """Give from where to where something of ours stands, or None."""
    found = sections(text)
    for number, section in enumerate(found):
        if len(section.path) != 3 or section.path[::2] != ("hooks", "hooks"):
            continue
        if is_ours(_innermost(text, section), script):
            before, after = found[number - 1], found[number + 1 : number + 2]
            is_alone = not (after and after[0].path == section.path)
            is_bare = before.path == section.path[:2] and not _innermost(text, before)
            return (before.start if is_alone and is_bare else section.start), section.end
    return None


def _innermost(text: str, section: TomlSection) -> Any:
    found: Any = read_toml(text[section.start : section.end])
    for name in section.path:
        found = found[name][0] if isinstance(found[name], list) else found[name]
    return found


def _without(data: dict[str, Any], script: Path) -> Any:
    """What a file says besides our entries, and besides groups and events that are empty without them."""
    found = data.get("hooks")
    if not isinstance(found, dict):
        return data
    hooks: dict[str, Any] = {}
    for event, of in found.items():
        if event == STATE or not isinstance(of, list):
            hooks[event] = of
            continue
        kept = [_stripped(group, script) for group in of]
        if any(kept):
            hooks[event] = [group for group in kept if group]
    return {key: value for key, value in data.items() if key != "hooks"} | ({"hooks": hooks} if hooks else {})


def _stripped(group: Any, script: Path) -> Any:
    if not isinstance(group, dict) or not isinstance(of := group.get("hooks"), list):
        return group
    kept = [handler for handler in of if not is_ours(handler, script)]
    rest = {key: value for key, value in group.items() if key != "hooks"}
    return rest | ({"hooks": kept} if kept else {})
