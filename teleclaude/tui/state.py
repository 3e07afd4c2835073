"""The state of the terminal client, what it is told, and what it asks to be done. Data only.

The channel in: keys, pastes, sizes, ticks, what the reader thread pushed, and how effects ended. The channel out:
effects, which tui/effects.py and tui/app.py carry out; none of them is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from teleclaude.client.api import AgentInfo
from teleclaude.client.events import HealthEvent, LiveOutput, Message
from teleclaude.client.model import Machine, Model
from teleclaude.core.records import Computer, Kind, Session
from teleclaude.tui.edit import Edit
from teleclaude.tui.form import Form
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.saved import Saved
from teleclaude.tui.tree import Outlines, TreeRow, View

if TYPE_CHECKING:
    from teleclaude.core.session_query import SearchText
    from teleclaude.tui.attach import Plan

LEAST = (8, 24)  # rows and columns below which there is nothing to show


class LinkState(msgspec.Struct, frozen=True):
    """The connection to the daemon. `retry_at`: time.monotonic()."""

    phase: Literal["starting", "connecting", "up", "down"] = "connecting"
    reason: str = ""
    retry_at: float = 0.0


class Notice(msgspec.Struct, frozen=True):
    """Words for the line above the keys, until `until` (time.monotonic(); 0: until something replaces them)."""

    text: str
    style: str = "text"
    until: float = 0.0


class Help(msgspec.Struct, frozen=True):
    """The keys. `top`: first line shown."""

    top: int = 0


class ConfirmEnd(msgspec.Struct, frozen=True):
    """Asks whether to end a session, all `panes` of it; or, where `agent` is named, that agent's pane alone.

    `is_lost`: it was lost, and is forgotten.
    """

    session_id: str
    computer: str
    title: str
    agent: str = ""
    panes: int = 1
    is_lost: bool = False


class NewSession(msgspec.Struct, frozen=True):
    """Asks for what a session on `computer` needs. `error`: why it was refused."""

    computer: str
    form: Form
    error: str = ""
    is_busy: bool = False


class Compose(msgspec.Struct, frozen=True):
    """Asks for a message to a session."""

    session_id: str
    computer: str
    title: str
    form: Form
    error: str = ""
    is_busy: bool = False


class ScreenPeek(msgspec.Struct, frozen=True):
    """Shows a session's screen, live. `left`, `up`: by how much another part of it; `error`: why there is none."""

    session_id: str
    computer: str
    title: str
    output: LiveOutput | None = None
    error: str = ""
    left: int = 0
    up: int = 0


class AnswerAsk(msgspec.Struct, frozen=True):
    """Asks for a reason to deny what an agent asks, or for the answer to its question.

    `ask`: the question's id; `asked`: what is asked, `where`: in which folder.
    """

    session_id: str
    computer: str
    title: str
    ask: str
    decision: Literal["allow", "deny"]
    asked: str
    where: str
    form: Form
    error: str = ""
    is_busy: bool = False


BoxedDialog: TypeAlias = Help | ConfirmEnd | NewSession | Compose | AnswerAsk
Dialog: TypeAlias = BoxedDialog | ScreenPeek


class Seek(msgspec.Struct, frozen=True):
    """A computer that is being asked who waits there. `direction`: 1 for the first of them, -1 for the last."""

    computer: str
    direction: int


class ClientState(msgspec.Struct, frozen=True, eq=False):
    """Everything the screen is made from. `wall`: seconds since 1970; `mono`: time.monotonic().

    `query`: the words that rows must fit; `search`: they are being typed; `texts`: what they are looked for in.
    """

    model: Model = Model()
    view: View = "sessions"
    rows: tuple[int, int] = (24, 80)
    wall: float = 0.0
    mono: float = 0.0
    link: LinkState = LinkState()
    health: HealthEvent = HealthEvent()
    expansion: Mapping[tuple[str, ...], bool] = MappingProxyType({})
    tree: list[TreeRow] = msgspec.field(default_factory=list)
    signature: tuple[object, ...] = ()
    outlines: Outlines = msgspec.field(default_factory=dict)
    selected: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    cursor: int = 0
    top: int = 0
    dialog: Dialog | None = None
    notice: Notice | None = None
    agents: tuple[AgentInfo, ...] = ()
    follow: str = ""
    query: str = ""
    search: Edit | None = None
    texts: dict[tuple[str, str], tuple[Machine, Mapping[str, SearchText]]] = msgspec.field(default_factory=dict)
    seek: Seek | None = None
    attaching: PrepareAttach | None = None
    home: str = ""
    scopes: frozenset[tuple[str, Kind]] = frozenset()
    watched: tuple[str, str] | None = None
    hooks_known: frozenset[str] = frozenset()
    hooks_offered: frozenset[str] = frozenset()
    lost_offered: frozenset[str] = frozenset()
    is_over: bool = False

    @property
    def row(self) -> TreeRow | None:
        """The selected row."""
        if 0 <= self.cursor < len(self.tree):
            return self.tree[self.cursor]
        return None

    @property
    def machine(self) -> Machine | None:
        """The machine of the selected row."""
        row = self.row
        return self.model.machines.get(row.computer) if row else None

    @property
    def session(self) -> Session | None:
        """The selected session."""
        row, machine = self.row, self.machine
        return machine.sessions.get(row.ref) if row and machine and row.kind == "session" else None

    @property
    def is_too_small(self) -> bool:
        """Whether the screen is too small for rows and dialogs to be seen."""
        return self.rows[0] < LEAST[0] or self.rows[1] < LEAST[1]

    @property
    def page(self) -> int:
        """Rows of the tree that fit on the screen."""
        return max(1, self.rows[0] - 4)


# What it is told


class Resized(msgspec.Struct, frozen=True):
    """The terminal's size."""

    lines: int
    columns: int


class Tick(msgspec.Struct, frozen=True):
    """The time. Comes before anything else that happened, and when an age on the screen must change."""

    wall: float
    mono: float


class Pushed(msgspec.Struct, frozen=True):
    """What the reader told since the last time."""

    messages: list[Message]


class Looked(msgspec.Struct, frozen=True):
    """The first look at the daemon, before the reader runs: messages as from it, if it answered.

    `is_running`: whether somebody serves its socket.
    """

    messages: list[Message]
    is_running: bool = True


# What it asks for


class Quit(msgspec.Struct, frozen=True):
    """End the client."""


class Suspend(msgspec.Struct, frozen=True):
    """Stop the client as the shell's ^Z does."""


class Redraw(msgspec.Struct, frozen=True):
    """Paint everything anew."""


class Follow(msgspec.Struct, frozen=True):
    """Follow these (computer, kind) and no others."""

    scopes: frozenset[tuple[str, Kind]]


class WatchScreen(msgspec.Struct, frozen=True):
    """Have the screen of this session, (computer, session id), and of no other; None for none."""

    place: tuple[str, str] | None


class Retry(msgspec.Struct, frozen=True):
    """Try to connect now."""


class Save(msgspec.Struct, frozen=True):
    """Keep this over a restart."""

    saved: Saved


class StartDaemon(msgspec.Struct, frozen=True):
    """Start the daemon in the background."""


class LoadAgents(msgspec.Struct, frozen=True):
    """Ask which agents there are."""


class StartSession(msgspec.Struct, frozen=True):
    """Start a session."""

    computer: str
    project: str
    agent: str
    title: str
    message: str


class SendMessage(msgspec.Struct, frozen=True):
    """Give text to a session."""

    session_id: str
    text: str
    computer: str


class GiveAnswer(msgspec.Struct, frozen=True):
    """Answer what an agent asks. `answers`: to its questions."""

    session_id: str
    computer: str
    title: str
    ask: str
    decision: Literal["allow", "deny", "suggested"]
    reason: str = ""
    answers: tuple[str, ...] = ()


class EndSession(msgspec.Struct, frozen=True):
    """End a session."""

    session_id: str
    title: str
    computer: str


class RestoreSession(msgspec.Struct, frozen=True):
    """Bring back a lost session."""

    session_id: str
    title: str
    computer: str


class LookAgain(msgspec.Struct, frozen=True):
    """Look again at everything; at one computer's, if named."""

    computer: str = ""


class PrepareAttach(msgspec.Struct, frozen=True):
    """Find out how to attach to a session; any key that is pressed meanwhile takes it back."""

    session: Session
    computer: Computer


class Attach(msgspec.Struct, frozen=True):
    """Run what attaches to a session of `computer`: it may have the terminal until it is detached."""

    plan: Plan
    computer: Computer


class CheckHooks(msgspec.Struct, frozen=True):
    """Look up which of these agents have no hooks on this computer."""

    agents: tuple[str, ...]


class LogError(msgspec.Struct, frozen=True):
    """Write a traceback to the log."""

    text: str


Call: TypeAlias = (
    StartDaemon
    | LoadAgents
    | StartSession
    | SendMessage
    | GiveAnswer
    | EndSession
    | RestoreSession
    | LookAgain
    | PrepareAttach
    | Save
    | CheckHooks
    | LogError
)
Effect: TypeAlias = Quit | Suspend | Redraw | Follow | WatchScreen | Retry | Attach | Call


class Done(msgspec.Struct, frozen=True):
    """How a call ended: `value`, or the `code` and `reason` of an error."""

    call: Call | Attach
    value: Any = None
    code: str = ""
    reason: str = ""


Told: TypeAlias = Key | Paste | Resized | Tick | Pushed | Looked | Done
