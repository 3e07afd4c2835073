"""Why a session is said to do what it is said to do: the answer of the verb `explain`."""

from __future__ import annotations

import msgspec


class EvidencePiece(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is known. `age`: seconds since it was so, None when that is not known; `why`: why it lost."""

    source: str
    says: str
    age: float | None = None
    won: bool = False
    why: str = ""


class SessionExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a session does, by which rule, from which evidence, and what would change it.

    `expires_in`: seconds after which it is judged again without anything new; None: never.
    """

    session_id: str
    status: str
    reason: str = ""
    since: str = ""
    rule: str = ""
    expires_in: float | None = None
    evidence: tuple[EvidencePiece, ...] = ()
    would_change: tuple[str, ...] = ()
