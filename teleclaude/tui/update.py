"""`update(state, message) -> (state, effects)`: the only place where the state changes. Pure.

What a key does is in tui/tree_keys.py (the tree) and tui/dialogs.py (what lies over it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from teleclaude.client.events import (
    Connected,
    Disconnected,
    HealthEvent,
    LiveOutput,
    Malformed,
    Message,
    Refreshed,
    ServerError,
    Stopped,
)
from teleclaude.client.model import fold
from teleclaude.core.records import Session, StartedSession
from teleclaude.tui import answering, dialogs, finder, lost, peek, tree_keys
from teleclaude.tui.hook_offer import check_for
from teleclaude.tui.hook_offer import offered as offer_hooks
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.navigate import rebuilt, select
from teleclaude.tui.notices import failure, noticed
from teleclaude.tui.saved import KEPT, Saved
from teleclaude.tui.state import (
    Attach,
    CheckHooks,
    ClientState,
    Done,
    Effect,
    EndSession,
    Follow,
    GiveAnswer,
    LinkState,
    LoadAgents,
    LogError,
    LookAgain,
    Looked,
    PrepareAttach,
    Pushed,
    Redraw,
    Resized,
    RestoreSession,
    Retry,
    Save,
    ScreenPeek,
    SendMessage,
    StartDaemon,
    StartSession,
    Tick,
    Told,
    WatchScreen,
)
from teleclaude.tui.tree import VIEWS, session_key, wanted_scopes
from teleclaude.tui.waiting import sought

Step = tuple[ClientState, list[Effect]]


def update(state: ClientState, told: Told) -> Step:
    """Give the state after something happened, and what is to be done about it."""
    after, effects = _step(state, told)
    if isinstance(told, Tick):
        return after, effects
    after = sought(_followed(rebuilt(after)))
    scopes = wanted_scopes(after.model, after.view, after.expansion, is_searched=bool(after.query))
    if scopes != after.scopes:
        after = replace(after, scopes=scopes)
        effects = [*effects, Follow(scopes)]
    if (place := peek.watched(after)) != after.watched:
        after = replace(after, watched=place)
        effects = [*effects, WatchScreen(place)]
    if isinstance(told, Pushed):
        after, checks = check_for(lost.offered(after))
        effects = [*effects, *checks]
    if _kept(after) != _kept(state):
        effects = [*effects, Save(to_save(after))]
    return after, effects


def _kept(state: ClientState) -> tuple[object, ...]:
    return state.view, state.expansion, state.hooks_offered


def first_state(saved: Saved, home: str, note: str = "") -> ClientState:
    """Give the state to begin with."""
    expansion = dict.fromkeys(saved.opened, True) | dict.fromkeys(saved.closed, False)
    view = VIEWS[VIEWS.index(saved.view)] if saved.view in VIEWS else VIEWS[0]
    offered = frozenset(saved.hooks_offered)
    state = ClientState(
        view=view,
        expansion=expansion,
        selected=dict(saved.selected),
        home=home,
        hooks_known=offered,
        hooks_offered=offered,
    )
    return noticed(state, note, "warning", seconds=0) if note else state


def to_save(state: ClientState) -> Saved:
    """Give what is to be kept over a restart."""
    recent = list(state.expansion.items())[-KEPT:]
    return Saved(
        view=state.view,
        opened=tuple(key for key, is_open in recent if is_open),
        closed=tuple(key for key, is_open in recent if not is_open),
        selected=dict(state.selected),
        hooks_offered=tuple(sorted(state.hooks_offered)),
    )


def _step(state: ClientState, told: Told) -> Step:
    match told:
        case Tick():
            return _tick(state, told), []
        case Key() | Paste():
            return _input(state, told)
        case Resized():
            return replace(state, rows=(told.lines, told.columns)), [Redraw()]
        case Pushed():
            return _pushed(state, told.messages)
        case Looked():
            return _looked(state, told)
        case Done():
            return _done(state, told)


def _tick(state: ClientState, tick: Tick) -> ClientState:
    notice = state.notice
    if notice and notice.until and tick.mono >= notice.until:
        notice = None
    return replace(state, wall=tick.wall, mono=tick.mono, notice=notice)


def _input(state: ClientState, told: Key | Paste) -> Step:
    if state.attaching is not None:
        state = replace(state, attaching=None, notice=None)
    if state.is_too_small and not (isinstance(told, Key) and told.name in tree_keys.ALWAYS):
        return state, []  # what cannot be seen is neither acted on nor answered
    if isinstance(state.dialog, ScreenPeek) and isinstance(told, Key) and told.name == "enter":
        return _attach_shown(state, state.dialog)
    if state.dialog is not None:
        return dialogs.press(state, told)
    if state.search is not None and not (isinstance(told, Key) and told.name in tree_keys.ALWAYS - {"q", "ctrl+c"}):
        return finder.press(state, told)
    if isinstance(told, Key):
        return tree_keys.press(state, told.name)
    return state, []


def _attach_shown(state: ClientState, shown: ScreenPeek) -> Step:
    """Attach to the session whose screen is shown, if it is still the selected one."""
    session, closed = state.session, replace(state, dialog=None)
    if session and (session.computer, session.session_id) == (shown.computer, shown.session_id):
        return tree_keys.attach(closed)
    return noticed(closed, "That session is not there any more.", "warning"), []


def _looked(state: ClientState, looked: Looked) -> Step:
    if not looked.is_running:
        return replace(state, link=LinkState("starting")), [StartDaemon()]
    return replace(state, model=fold(state.model, looked.messages)), []


def _pushed(state: ClientState, messages: Iterable[Message]) -> Step:
    state = replace(state, model=fold(state.model, messages))
    effects: list[Effect] = []
    for message in messages:
        match message:
            case Connected():
                state = replace(state, link=LinkState("up"), health=HealthEvent())
                effects = [LoadAgents()]
            case Disconnected() if state.link.phase != "starting":
                state = replace(state, link=LinkState("down", message.reason, message.retry_at))
            case Stopped():
                state = replace(state, link=LinkState("down", "stopped", state.mono))
            case HealthEvent():
                state = replace(state, health=message)
            case Refreshed():
                state = _refreshed(state, message)
            case LiveOutput():
                state = peek.shown(state, message)
            case ServerError():
                state = peek.refused(state, message) or noticed(state, message.message, "error")
            case Malformed():
                state = noticed(state, "a record from the daemon cannot be read: see tui.log", "warning")
            case _:
                pass
    return state, effects


def _refreshed(state: ClientState, message: Refreshed) -> ClientState:
    where = message.computer or "everything"
    if message.status == "ok":
        return noticed(state, f"Looked again at {where}.", "soft")
    return noticed(state, f"{where} was not refreshed: {message.message or message.status}", "warning")


def _done(state: ClientState, done: Done) -> Step:
    if done.reason:
        return _failed(state, done)
    match done.call:
        case StartDaemon():
            # The reader may have been quicker than the command that waits until the daemon is ready.
            link = LinkState("connecting") if state.link.phase == "starting" else state.link
            return replace(state, link=link), [Retry()]
        case LoadAgents():
            return dialogs.agents_known(replace(state, agents=tuple(done.value))), []
        case StartSession():
            return _started(state, done.value, done.call.message), []
        case SendMessage():
            return _sent(replace(state, dialog=None), str(done.value)), []
        case GiveAnswer():
            return answering.answered(state, done.call, done.value), []
        case EndSession() | RestoreSession():
            told = f"Ended {done.call.title}." if isinstance(done.call, EndSession) else f"{done.call.title} is back."
            return noticed(state, told, "soft"), []
        case LookAgain():
            return noticed(state, f"Looked again at {done.call.computer or 'everything'}.", "soft"), []
        case CheckHooks():
            return offer_hooks(state, done.value), []
        case PrepareAttach() if state.attaching == done.call:
            return replace(state, attaching=None), [Attach(done.value, done.call.computer)]
        case Attach():
            return replace(state, notice=None), [Redraw()]
        case _:
            return state, []


def _failed(state: ClientState, done: Done) -> Step:
    match done.call:
        case StartDaemon():
            is_up = state.link.phase == "up"
            down = state if is_up else replace(state, link=LinkState("down", done.reason, state.mono))
            return noticed(down, f"The daemon did not start: {done.reason}", "error", seconds=0), [Retry()]
        case StartSession() | SendMessage():
            return dialogs.refused(state, done), []
        case GiveAnswer():
            return answering.failed(state, done.call, done), []
        case LoadAgents():
            return dialogs.agents_known(state, done.reason), []
        case Save():
            return noticed(state, f"The view cannot be kept: {done.reason}", "warning"), []
        case LogError() | CheckHooks():
            return state, []
        case PrepareAttach() if state.attaching != done.call:
            return state, []
        case _:
            state = replace(state, attaching=None)
            effects: list[Effect] = [Redraw()] if isinstance(done.call, Attach) else []
            return noticed(state, failure(done), "error"), effects


def _sent(state: ClientState, delivery: str) -> ClientState:
    if delivery == "not_proven":
        return noticed(state, "Typed, and not proven: the agent did not show that it took the message.", "warning")
    return noticed(state, "Sent.", "soft")


def _started(state: ClientState, session: Any, message: str) -> ClientState:
    """The new session is selected as soon as it is in the tree, wherever the selection is then.

    A first message that was not sent is offered again, as it was typed.
    """
    state = replace(state, dialog=None)
    if not isinstance(session, Session):
        return state
    state = noticed(state, f"Started {session.title or session.agent}.", "soft")
    if isinstance(session, StartedSession) and session.delivery == "not_proven":
        state = _sent(state, session.delivery)
    expansion = dict(state.expansion) | {("sessions", "computer", session.computer): True}
    state = replace(state, view="sessions", follow=session.session_id, expansion=expansion)
    if isinstance(session, StartedSession) and session.message_sent is False:
        return dialogs.open_unsent(state, session, message)
    return state


def _followed(state: ClientState) -> ClientState:
    """Select the session that was started here, once it is there."""
    if not state.follow:
        return state
    machine = next((m for m in state.model.machines.values() if state.follow in m.sessions), None)
    if machine is None:
        return state
    return select(replace(state, follow=""), session_key(machine.name, state.follow))
