"""What of this computer's own sessions other computers get: `[privacy] share`, and nothing else decides. Pure.

Rules: what leaves passes here, records and the answers of requests alike; the cache of this computer has all of it.
What an agent asks is shown to others as well where `fleet.allow` lets somebody approve it: nobody shall answer what he
cannot read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from teleclaude.core.records import Ask, Record, Session
from teleclaude.core.requests import Outcome
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.settings import Settings
from teleclaude.replication.change import Change


class Sharing:
    """What the settings share."""

    def __init__(self, settings: Settings) -> None:
        self._share = settings.privacy.share
        may_approve = any("approve" in rights for rights in settings.fleet.allow.values())
        self._has_asks = self._share == "all" or (self._share == "titles" and may_approve)

    def __eq__(self, other: object) -> bool:
        """Tell whether as much is shared."""
        return isinstance(other, Sharing) and self._kind() == other._kind()

    def __hash__(self) -> int:
        """Be the same for what shares as much."""
        return hash(self._kind())

    def _kind(self) -> tuple[str, bool]:
        return self._share, self._has_asks

    def record(self, record: Record) -> Record:
        """Give a record as others get it."""
        if self._share == "all" or not isinstance(record, Session):
            return record
        return msgspec.structs.replace(
            record,
            title=record.title if self._share == "titles" else record.agent,
            last_prompt="",
            last_answer="",
            asks=record.asks if self._has_asks or not record.asks else _without_content(record.asks),
        )

    def notice(self, notice: SessionNotice) -> SessionNotice:
        """Give a notice as another computer gets it."""
        if self._share == "all":
            return notice
        title = notice.title if self._share == "titles" else notice.agent
        # Why it failed is its state's reason, which everybody gets; what it answered is its own.
        is_told = notice.state == "error" or (notice.state == "waiting" and self._has_asks)
        return msgspec.structs.replace(notice, title=title, text=notice.text if is_told else "")

    def change(self, change: Change[str, Record]) -> Change[str, Record]:
        """Give a change as others get it."""
        if self._share == "all":
            return change
        rows = {key: row and self.record(row) for key, row in change.rows.items()}
        return replace(change, rows=rows)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Give the answer of a request as others get it."""
        session: Any = outcome.data.get("session")
        if self._share == "all" or not isinstance(session, dict):
            return outcome
        hidden = msgspec.to_builtins(self.record(msgspec.convert(session, Session)))
        return msgspec.structs.replace(outcome, data=outcome.data | {"session": hidden})


def _without_content(asks: Ask) -> Ask:
    return Ask(kind=asks.kind, tool=asks.tool, answered=asks.answered)
