"""Which panes are rows of the shared view. Pure.

Rules: every pane in which an agent runs is a row, once, whatever number of sessions show it: it is at home in the
oldest of them. A tmux session in which no agent is at home is a row itself, and its active pane stands for it; but
for one that only shows what is a row already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from teleclaude.sync.tmux.panes import Pane


@dataclass(frozen=True, slots=True)
class Row:
    """A pane that is shown. `key`: what the row is, `$3` a session or `%5` a pane; `panes`: of its whole session.

    `place`: where in its session the pane is, when that has several rows.
    """

    key: str
    pane: Pane
    panes: int
    place: str = ""


def at_home(rows: Iterable[Pane]) -> dict[str, Pane]:
    """Each pane once, by id, as the oldest session shows it; `attached` counts the clients of all that show it."""
    found: dict[str, Pane] = {}
    for row in sorted(rows, key=lambda row: _number(row.session)):
        first = found.get(row.id)
        if first is None:
            found[row.id] = row
        elif first.session != row.session and row.attached:
            found[row.id] = replace(first, attached=first.attached + row.attached)
    return found


def rows_of(
    panes: list[Pane],
    home: Mapping[str, Pane],
    with_agent: Collection[str],
    forming: Collection[str],
    before: Mapping[str, str],
) -> list[Row]:
    """Choose the rows. `panes`: as tmux lists them; `home`: by `at_home`; `before`: panes that stood for sessions.

    A pane in `forming` is still to become what it is: it is no row, and while it is a session's active pane the one
    before, or another, goes on standing for the session, so that a new window hides none.
    """
    count = Counter(pane.session for pane in panes)
    at = {pane: home[pane].session for pane in home if pane in with_agent}
    served = Counter(at.values())
    agents = [
        Row(pane, home[pane], count[session], home[pane].place if served[session] > 1 else "")
        for pane, session in at.items()
    ]
    best: dict[str, Pane] = {}
    for pane in panes:
        other = best.get(pane.session)
        is_worth = pane.session not in served and pane.id not in forming
        if is_worth and (other is None or _rank(pane, before) > _rank(other, before)):
            best[pane.session] = pane
    shown = {session: pane for session, pane in best.items() if pane.id not in with_agent}
    return agents + [Row(session, pane, count[session]) for session, pane in shown.items()]


def _rank(pane: Pane, before: Mapping[str, str]) -> int:
    if pane.is_active and pane.is_current:
        return 2
    return int(before.get(pane.session) == pane.id)


def _number(name: str) -> int:
    return int(name[1:]) if name[1:].isdigit() else 0
