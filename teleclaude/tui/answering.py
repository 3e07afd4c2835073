"""Answering what an agent asks: allowed or denied by a key, its questions answered from a list. Pure.

Only what the agent's hook awaits can be answered here; all else is asked at the agent's own terminal, and Enter goes
there. What is sent names the question that was on the screen: another one that came meanwhile is not answered by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec.structs import replace

from teleclaude.core.records import Ask, Session
from teleclaude.core.session_title import title_of
from teleclaude.tui.edit import Edit
from teleclaude.tui.form import Button, Choice, Form, TextField
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.notices import noticed
from teleclaude.tui.state import AnswerAsk, ClientState, Done, Effect, GiveAnswer

Step = tuple[ClientState, list[Effect]]
_CUT = " more characters]"  # sync/sessions/agents/ask_text.py ends with it what it does not show whole


def answer(decision: Literal["allow", "suggested", "deny"]) -> Callable[[ClientState], Step]:
    """Make the command that answers what the selected session asks."""

    def press_key(state: ClientState) -> Step:
        session = state.session
        if session is None:
            return noticed(state, "Select the session to answer first.", "soft"), []
        refusal = _refusal(state, session)
        asks = session.asks
        if refusal or asks is None:
            return noticed(state, refusal, "soft"), []
        if decision == "deny":
            return replace(state, dialog=_denial(session, asks)), []
        if asks.kind == "question":
            return replace(state, dialog=_question(session, asks)), []
        if asks.text.endswith(_CUT):
            return noticed(state, "It asks for more than can be shown here: Enter attaches.", "warning"), []
        call = GiveAnswer(session.session_id, session.computer, title_of(session), asks.id, decision)
        return noticed(state, f"Allowing {_short(asks)}…", "soft", seconds=0), [call]

    return press_key


def _refusal(state: ClientState, session: Session) -> str:
    """Say why a session cannot be answered from here, or nothing."""
    machine = state.model.machines.get(session.computer)
    if machine is None or not machine.is_online:
        return f"{session.computer} is offline: nothing can be answered there now."
    if session.asks is None:
        return f"{title_of(session)} asks nothing."
    if not session.asks.id:
        why = f" ({session.asks.answered})" if session.asks.answered else ""
        return f"{title_of(session)} is answered at its own terminal{why}: Enter attaches."
    return ""


def _short(asks: Ask) -> str:
    text = f"{asks.tool}: {asks.text}" if asks.tool and asks.text else asks.tool or asks.text
    return text[:60]


def _denial(session: Session, asks: Ask) -> AnswerAsk:
    reason = TextField("reason", "Reason", Edit(is_multiline=True), rows=3, hint="optional: what the agent is told")
    return _dialog(session, asks, "deny", Form((reason, Button("submit", "Deny"), Button("cancel", "Cancel"))))


def _question(session: Session, asks: Ask) -> AnswerAsk:
    if asks.choices:
        field: Choice | TextField = Choice("answer", "Answer", tuple((label, label) for label in asks.choices))
    else:
        field = TextField("answer", "Answer", Edit())
    return _dialog(session, asks, "allow", Form((field, Button("submit", "Answer"), Button("cancel", "Cancel"))))


def _dialog(session: Session, asks: Ask, decision: Literal["allow", "deny"], form: Form) -> AnswerAsk:
    asked = " ".join(part for part in (f"{asks.tool}:" if asks.tool else "", asks.text) if part)
    where = session.cwd or session.project
    return AnswerAsk(session.session_id, session.computer, title_of(session), asks.id, decision, asked, where, form)


def press(state: ClientState, dialog: AnswerAsk, told: Key | Paste, columns: int) -> Step:
    """Give the state after a key or a paste in the dialog."""
    if isinstance(told, Paste):
        return replace(state, dialog=replace(dialog, form=dialog.form.paste(told.text), error="")), []
    form, outcome = dialog.form.press(told.name, columns)
    if outcome == "cancel":
        return replace(state, dialog=None), []
    if outcome != "submit" or dialog.is_busy:
        return replace(state, dialog=replace(dialog, form=form)), []
    given = form.value("answer")
    if dialog.decision == "allow" and not given.strip():
        return replace(state, dialog=replace(dialog, form=form, error="There is no answer yet.")), []
    call = GiveAnswer(
        dialog.session_id,
        dialog.computer,
        dialog.title,
        dialog.ask,
        dialog.decision,
        form.value("reason").strip(),
        (given,) if dialog.decision == "allow" else (),
    )
    return replace(state, dialog=replace(dialog, form=form, is_busy=True, error="")), [call]


_SAID = {"allow": "Allowed", "suggested": "Allowed for the session", "deny": "Denied"}


def answered(state: ClientState, call: GiveAnswer, outcome: object) -> ClientState:
    """Say that an answer was given, and whether the agent took it."""
    said = "Answered" if call.answers else _SAID[call.decision]
    known = "" if outcome == "taken" else "; it is not known yet whether the agent took it"
    return noticed(_closed(state, call), f"{said}: {call.title}{known}.", "soft")


def failed(state: ClientState, call: GiveAnswer, done: Done) -> ClientState:
    """Say why an answer was not given: in the dialog, with what was typed, unless it can be given no more."""
    dialog = state.dialog
    if isinstance(dialog, AnswerAsk) and dialog.ask == call.ask and done.code == "invalid":
        return replace(state, dialog=replace(dialog, error=done.reason, is_busy=False))
    return noticed(
        _closed(state, call), f"{call.title} was not answered: {done.reason.rstrip('.')}.", "error", seconds=20
    )


def _closed(state: ClientState, call: GiveAnswer) -> ClientState:
    is_open = isinstance(state.dialog, AnswerAsk) and state.dialog.ask == call.ask
    return replace(state, dialog=None) if is_open else state
