"""Our entries in a settings file that is JSON: put in, and taken out to the byte. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleclaude.core.errors import Refused
from teleclaude.hooks.hook_entries import Entries, groups, is_all_ours, is_as_wanted, is_ours, ours_in
from teleclaude.hooks.hook_record import Inserted
from teleclaude.hooks.json_text import JsonNode, JsonText, as_text, insert, layout_of, read_json, remove

KeyPath = tuple[str, ...]


@dataclass(slots=True)
class JsonHooks:
    """One file's text, with what is known to be ours in it. `switch`: a key that must be true, as (table, name)."""

    text: str
    script: Path
    comments: bool = False
    switch: tuple[str, str] | None = None
    made: list[str] = field(default_factory=list)
    behind: dict[str, str] = field(default_factory=dict)

    def read(self) -> JsonText:
        """Read it. Raises Refused."""
        found = read_json(self.text, comments=self.comments)
        if not isinstance(found.data, dict):
            raise Refused("it holds no JSON object")
        return found

    def has_all(self, entries: Entries) -> bool:
        """Tell whether all is there as it should be."""
        data = self.read().data
        return is_as_wanted(data, entries, self.script) and (self.switch is None or _is_on(data, self.switch))

    def has_any(self) -> bool:
        """Tell whether anything of ours is there."""
        return bool(ours_in(self.read().data, self.script))

    def inserted(self, agent: str, *, made_file: bool) -> Inserted:
        """Say what was put in, so that it can be taken out."""
        return Inserted(agent=agent, made_file=made_file, made=tuple(self.made), behind=self.behind)

    def install(self, entries: Entries) -> None:
        """Put the entries in. Raises Refused for a file of another shape."""
        data = self.read().data
        list(groups(data))
        if self.switch:
            self._switch_on(data, *self.switch)
        if "hooks" not in data:
            self._put((), "hooks", {event: [group] for event, group in entries.items()})
            self.made += [f"hooks/{event}" for event in entries]
        else:
            for event, group in entries.items():
                if event in data["hooks"]:
                    self._put(("hooks", event), None, group)
                else:
                    self._put(("hooks",), event, [group])
        if not self.has_all(entries):
            raise Refused("the entries cannot be put in without touching others")

    def _switch_on(self, data: Mapping[str, Any], table: str, name: str) -> None:
        if table not in data:
            self._put((), table, {name: True})
            self.made.append(f"{table}/{name}")
        elif not isinstance(data[table], dict):
            raise Refused(f"`{table}` is not a table")
        elif name not in data[table]:
            self._put((table,), name, True)
        elif data[table][name] is not True:
            raise Refused(f"`{table}.{name}` is {json.dumps(data[table][name])}: hooks are switched off there, by you")

    def _put(self, path: KeyPath, name: str | None, value: Any) -> None:
        found = self.read()
        layout = layout_of(found)
        node, depth = _node(found.root, path), len(path)
        piece = as_text(value, layout, depth + 1)
        if name is not None:
            piece = f"{json.dumps(name)}: {piece}"
            self.made.append("/".join((*path, name)))
        self.text, behind = insert(found, node, piece, layout, depth)
        if behind:
            self.behind["/".join(path)] = behind

    def uninstall(self, inserted: Inserted | None) -> None:
        """Take out all that is ours. Raises Refused."""
        made = None if inserted is None else set(inserted.made)
        behind = {} if inserted is None else inserted.behind
        expected = _without(self.read().data, self.script)
        while place := _next(self.read(), self.script, made):
            path, index = place
            found = self.read()
            self.text = remove(found, _node(found.root, path), index, behind.get("/".join(path), ""))
        left = self.read().data
        if ours_in(left, self.script) or _without(left, self.script) != expected:
            raise Refused("our entries cannot be taken out without touching others: take them out by hand")
        if made is not None and self.switch:
            self._switch_off(made, behind, *self.switch)

    def _switch_off(self, made: set[str], behind: Mapping[str, str], table: str, name: str) -> None:
        found = self.read()
        node = found.root.member(table)
        if f"{table}/{name}" not in made or node is None or name not in node.names:
            return
        path: KeyPath = () if table in made and len(node.parts) == 1 else (table,)
        of = _node(found.root, path)
        index = len(of.names) - 1 - of.names[::-1].index(name if path else table)
        self.text = remove(found, of, index, behind.get("/".join(path), ""))

    def is_empty(self) -> bool:
        """Tell whether nothing but braces is left."""
        return not "".join(self.text.split()).removeprefix("\ufeff").strip("{}")


def _is_on(data: Mapping[str, Any], switch: tuple[str, str]) -> bool:
    table = data.get(switch[0])
    return isinstance(table, dict) and table.get(switch[1]) is True


def _node(root: JsonNode, path: KeyPath) -> JsonNode:
    for name in path:
        found = root.member(name) if root.bracket == "{" else root.parts[int(name)]
        assert found is not None
        root = found
    return root


def _value(found: JsonText, node: JsonNode) -> Any:
    return json.loads(found.plain[node.start : node.end])


def _next(found: JsonText, script: Path, made: set[str] | None) -> tuple[KeyPath, int] | None:
    """Give the largest part that is wholly ours, as its container's path and its index there; None when there is none.

    `made`: the keys that we made; None when that is not known, and then what is empty without us goes too.
    """
    hooks = found.root.member("hooks")
    if hooks is None or hooks.bracket != "{":
        return None
    ours: list[bool] = []
    for event, of in zip(hooks.names, hooks.parts, strict=True):
        all_ours = [is_all_ours(group, script) for group in _value(found, of)] if of.bracket == "[" else []
        ours.append(bool(all_ours) and all(all_ours) and (made is None or f"hooks/{event}" in made))
    if ours and all(ours) and (made is None or "hooks" in made):
        return (), len(found.root.names) - 1 - found.root.names[::-1].index("hooks")
    if any(ours):
        return ("hooks",), ours.index(True)
    return _next_group(found, hooks, script)


def _next_group(found: JsonText, hooks: JsonNode, script: Path) -> tuple[KeyPath, int] | None:
    for event in dict.fromkeys(hooks.names):
        of = hooks.member(event)
        if of is None or of.bracket != "[":
            continue
        for number, group in enumerate(_value(found, of)):
            if is_all_ours(group, script):
                return ("hooks", event), number
            at = _first_of_ours(group, script)
            if at is not None:
                return ("hooks", event, str(number), "hooks"), at
    return None


def _first_of_ours(group: Any, script: Path) -> int | None:
    handlers = group.get("hooks") if isinstance(group, dict) else None
    places = enumerate(handlers if isinstance(handlers, list) else [])
    return next((at for at, handler in places if is_ours(handler, script)), None)


def _without(data: Mapping[str, Any], script: Path) -> Any:
    """What a file says besides our entries, and besides lists that are empty without them."""
    hooks: dict[str, Any] = {}
    for event, of in groups(data):
        kept = []
        for group in of:
            if is_all_ours(group, script):
                continue
            handlers = group.get("hooks") if isinstance(group, dict) else None
            if isinstance(handlers, list):
                kept.append({**group, "hooks": [handler for handler in handlers if not is_ours(handler, script)]})
            else:
                kept.append(group)
        if kept:
            hooks[event] = kept
    rest = {key: value for key, value in data.items() if key != "hooks"}
    return rest | ({"hooks": hooks} if hooks else {})
