"""A form: fields, one of which has the focus, and what keys do to it. Pure.

Rules of this module: Enter never sends a form from within a field. It goes on to the next field, or is a newline where
there are several lines; only on a button, or with Ctrl-S, is something done.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from teleclaude.tui.edit import Edit


class TextField(msgspec.Struct, frozen=True, tag=True):
    """A text to type, in `rows` rows."""

    name: str
    label: str
    edit: Edit = Edit()
    rows: int = 1
    hint: str = ""


class Choice(msgspec.Struct, frozen=True, tag=True):
    """One of several values. `options` are (value, words)."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    index: int = 0


class Button(msgspec.Struct, frozen=True, tag=True):
    """Does something: `name` says what."""

    name: str
    label: str


Field: TypeAlias = TextField | Choice | Button
Outcome: TypeAlias = Literal["", "submit", "cancel"]


class Form(msgspec.Struct, frozen=True):
    """Fields in order, the last of them buttons (submit, cancel)."""

    fields: tuple[Field, ...]
    focus: int = 0

    def value(self, name: str) -> str:
        """What a field holds."""
        for field in self.fields:
            if isinstance(field, TextField) and field.name == name:
                return field.edit.text
            if isinstance(field, Choice) and field.name == name and field.options:
                return field.options[field.index][0]
        return ""

    def with_field(self, field: Field) -> Form:
        """Give the form with another field of the same name."""
        return Form(tuple(field if old.name == field.name else old for old in self.fields), self.focus)

    def press(self, key: str, columns: int) -> tuple[Form, Outcome]:
        """Give the form after a key, and what that asked for. `columns`: how wide text fields are."""
        if key in {"esc", "ctrl+c"}:
            return self, "cancel"
        if key == "ctrl+s":
            return self, "submit"
        if key in {"tab", "shift+tab"}:
            return self._moved(1 if key == "tab" else -1), ""
        field = self.fields[self.focus]
        if isinstance(field, TextField):
            edit = field.edit.press(key, columns)
            if edit is not None:
                return self.with_field(msgspec.structs.replace(field, edit=edit)), ""
        if isinstance(field, Choice) and key in {"left", "right", "h", "l", " "}:
            return self._chosen(field, -1 if key in {"left", "h"} else 1), ""
        if isinstance(field, Button):
            if key in {"enter", " "}:
                return self, "cancel" if field.name == "cancel" else "submit"
            if key in {"left", "right"}:
                return self._moved(1 if key == "right" else -1), ""
        if key in {"up", "down", "enter"}:
            return self._moved(-1 if key == "up" else 1), ""
        return self, ""

    def paste(self, text: str) -> Form:
        """Give the form after a paste into the field that has the focus."""
        field = self.fields[self.focus]
        if not isinstance(field, TextField):
            return self
        return self.with_field(msgspec.structs.replace(field, edit=field.edit.insert(text)))

    def _moved(self, step: int) -> Form:
        return Form(self.fields, (self.focus + step) % len(self.fields))

    def _chosen(self, field: Choice, step: int) -> Form:
        if not field.options:
            return self
        return self.with_field(msgspec.structs.replace(field, index=(field.index + step) % len(field.options)))
