"""What a person is told of a session, once: it waits, it failed, it finished."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

NoticeState: TypeAlias = Literal["waiting", "error", "finished"]
NOTICE_STATES: Final[tuple[NoticeState, ...]] = get_args(NoticeState)


class SessionNotice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One of them. `text`: what is asked, or why it failed; `pane`: its tmux pane, on its own computer (`%5`)."""

    computer: str
    session_id: str
    state: NoticeState
    title: str = ""
    text: str = ""
    agent: str = ""
    project: str = ""
    pane: str = ""
