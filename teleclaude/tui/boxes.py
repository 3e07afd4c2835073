"""Dialogs, as boxes laid over the dimmed screen. Pure."""

from __future__ import annotations

from teleclaude.tui import dialogs, tree_keys
from teleclaude.tui.cells import Line, Span, clipped, clipped_left, cut, fit, line_width, over, width
from teleclaude.tui.edit import place_of, shown, wrapped
from teleclaude.tui.form import Button, Choice, Field, Form, TextField
from teleclaude.tui.state import AnswerAsk, BoxedDialog, ClientState, Compose, ConfirmEnd, Help, NewSession, ScreenPeek

Cursor = tuple[int, int]
Body = tuple[list[Line], Cursor | None]


def laid_over(lines: list[Line], state: ClientState) -> tuple[list[Line], Cursor | None]:
    """Give the screen with its dialog over it, and where the cursor is."""
    dialog = state.dialog
    if dialog is None or isinstance(dialog, ScreenPeek):  # a peek is no box: it has the whole screen
        return lines, None
    inner = dialogs.box_width(state) - 4
    title, (body, cursor) = _content(dialog, state, inner)
    body, cursor = _fitted(body, cursor, state.rows[0] - 4)
    box = _framed(title, body, inner)
    top = max(1, (state.rows[0] - len(box)) // 2 - 1)
    left = (state.rows[1] - dialogs.box_width(state)) // 2
    dimmed: list[Line] = [tuple((text, "gone") for text, _ in line) for line in lines]
    for number, line in enumerate(box):
        dimmed[top + number] = over(dimmed[top + number], line, left, state.rows[1])
    return dimmed, None if cursor is None else (top + 1 + cursor[0], left + 2 + cursor[1])


def _content(dialog: BoxedDialog, state: ClientState, inner: int) -> tuple[str, Body]:
    match dialog:
        case Help():
            return "Keys", (_help(dialog, state, inner), None)
        case ConfirmEnd():
            return "End this session?", (_confirm(dialog, inner), None)
        case NewSession():
            return f"New session on {dialog.computer}", _form(dialog, state, inner)
        case Compose():
            return f"Message to {dialog.title}", _form(dialog, state, inner)
        case AnswerAsk():
            title = "Deny what is asked" if dialog.decision == "deny" else "Answer"
            return f"{title}: {dialog.title}", _form(dialog, state, inner)


def _framed(title: str, body: list[Line], inner: int) -> list[Line]:
    name = clipped(title, inner - 2)
    top: Line = (
        ("╭─ ", "box"),
        (name, "computer"),
        (" " + "─" * (inner - 1 - width(name)) + "╮", "box"),
    )
    middle: list[Line] = [(("│ ", "box"), *cut(line, inner), (" │", "box")) for line in body]
    return [top, *middle, (("╰" + "─" * (inner + 2) + "╯", "box"),)]


def _fitted(body: list[Line], cursor: Cursor | None, most: int) -> Body:
    """Cut a body that is too high, so that the cursor, or else the end with the buttons, stays in it."""
    surplus = len(body) - most
    if surplus <= 0:
        return body, cursor
    start = surplus if cursor is None or cursor[0] >= most else 0
    kept = body[start : start + most]
    return kept, None if cursor is None else (cursor[0] - start, cursor[1])


def _help(dialog: Help, state: ClientState, inner: int) -> list[Line]:
    lines: list[Line] = [
        (("  " + fit(keys, 12), "key"), (clipped(words, inner - 14), "text"))
        for keys, _, words, _ in tree_keys.TABLE
        if words
    ]
    page = max(1, state.rows[0] - 8)
    top = min(dialog.top, max(0, len(lines) - page))
    more = len(lines) - page - top
    end = f"{more} more: ↓.   " if more > 0 else ""
    return [*lines[top : top + page], (), ((end + "Any other key closes this.", "hint"),)]


def _confirm(dialog: ConfirmEnd, inner: int) -> list[Line]:
    return [
        ((clipped(dialog.title, inner), "title-on"),),
        ((clipped(_what_ends(dialog), inner), "soft"),),
        (),
        (("y", "key"), (" yes, end it     ", "text"), ("Enter", "key"), (" no  (y/N)", "text")),
    ]


def _what_ends(dialog: ConfirmEnd) -> str:
    if dialog.is_lost:
        return "It was lost: it is forgotten, and no more offered to be brought back."
    if dialog.panes == 1:
        return "What runs in it ends, and cannot be brought back."
    if dialog.agent:
        return f"{dialog.agent} and its pane end; the other panes of its tmux session stay."
    return f"All {dialog.panes} panes of it end, with what runs in them."


def _form(dialog: NewSession | Compose | AnswerAsk, state: ClientState, inner: int) -> Body:
    lines: list[Line] = _asked(dialog, inner) if isinstance(dialog, AnswerAsk) else []
    cursor: Cursor | None = None
    for number, field in enumerate(dialog.form.fields):
        if isinstance(field, Button):
            continue
        found, place = _field(field, number == dialog.form.focus, state, isinstance(dialog, Compose))
        if place is not None:
            cursor = (len(lines) + place[0], place[1])
        lines += found
    lines.append(())
    for text in _lines_of(dialog.error, inner):
        lines.append(((text, "error"),))
    lines.append(_buttons(dialog.form, is_busy=dialog.is_busy, inner=inner))
    return lines, cursor


def _asked(dialog: AnswerAsk, inner: int) -> list[Line]:
    """What is asked, and in which folder."""
    asked: list[Line] = [((text, "title-on"),) for text in _lines_of(dialog.asked, inner)]
    return [*asked, ((clipped_left(dialog.where, inner), "soft"),), ()]


def _buttons(form: Form, *, is_busy: bool, inner: int) -> Line:
    if is_busy:
        return (("asking…", "hint"),)
    spans: list[Span] = []
    for number, field in enumerate(form.fields):
        if isinstance(field, Button):
            spans += [(f" {field.label} ", "button-on" if number == form.focus else "key"), ("  ", "")]
    send = next((field.label.lower() for field in form.fields if field.name == "submit"), "done")
    hint = f"Tab next field · Ctrl-S {send} · Esc close"
    room = inner - line_width(spans)
    return (*spans, (fit(hint, room, right=True) if width(hint) < room else "", "hint"))


def _field(field: Field, is_on: bool, state: ClientState, is_wide: bool) -> Body:
    columns = dialogs.field_width(state, is_wide=is_wide)
    label_width = 0 if is_wide else dialogs.LABEL_WIDTH + 1
    style = "field-on" if is_on else "field"
    if isinstance(field, Choice):
        lines, place = [_choice(field, is_on, columns)], None
    elif isinstance(field, TextField):
        lines, place = _text(field, is_on, style, columns)
    else:
        return [], None
    label = fit(field.label, dialogs.LABEL_WIDTH) + " " if label_width else ""
    blank = " " * label_width
    found: list[Line] = [((blank if number else label, "soft"), *line) for number, line in enumerate(lines)]
    return found, None if place is None or not is_on else (place[0], place[1] + label_width)


def _choice(field: Choice, is_on: bool, columns: int) -> Line:
    value, words = field.options[field.index] if field.options else ("", "none")
    number = f"{field.index + 1}/{len(field.options)}" if len(field.options) > 1 else ""
    room = columns - 4 - width(number) - 1
    text = clipped(words, room)
    if value != words and width(text) + 6 < room:
        text += "  " + clipped_left(value, room - width(text) - 2)
    text += " " * (room - width(text))
    arrows = ("◂ ", " ▸") if is_on else ("  ", "  ")
    return ((arrows[0] + text + arrows[1], "field-on" if is_on else "field"), (" " + number, "hint"))


def _text(field: TextField, is_on: bool, style: str, columns: int) -> Body:
    edit = field.edit
    if field.rows == 1:
        return _one_line(field, style, columns)
    places = wrapped(edit.text, columns - 1)
    row, column = place_of(edit.text, edit.cursor, columns - 1)
    top = max(0, min(row - field.rows // 2, len(places) - field.rows))
    lines: list[Line] = []
    for start, end in places[top : top + field.rows]:
        lines.append(cut([(shown(edit.text[start:end]), style)], columns, style))
    if not edit.text and not is_on:
        lines = [cut([(clipped(field.hint, columns), "hint")], columns, style)]
    lines += [cut((), columns, style)] * (field.rows - len(lines))
    return lines, (row - top, column)


def _one_line(field: TextField, style: str, columns: int) -> Body:
    edit = field.edit
    if not edit.text:
        return [cut([(clipped(field.hint, columns), style if style == "field-on" else "hint")], columns, style)], (0, 0)
    start = 0
    while width(shown(edit.text[start : edit.cursor])) > columns - 1:
        start += 1
    line = cut([(shown(edit.text[start:]), style)], columns, style)
    return [line], (0, width(shown(edit.text[start : edit.cursor])))


def _lines_of(text: str, cells: int) -> list[str]:
    """Words in lines of at most `cells`; four at most."""
    lines: list[str] = []
    for word in clipped(text, cells * 4).split():
        if lines and width(lines[-1]) + 1 + width(word) <= cells:
            lines[-1] += " " + word
        else:
            lines.append(clipped(word, cells))
    return lines[:4]
