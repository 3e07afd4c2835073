"""Two computers with one name: what each of them shows, and what the silent one tells the other. See claim.py."""

from __future__ import annotations

from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.context import Ground, Parcel
from teleclaude.sync.fleet.membership.name_claim import Claim, Name
from teleclaude.sync.fleet.redis.key_names import MESSAGES_LENGTH
from teleclaude.sync.fleet.wire.clock import now as clock
from teleclaude.sync.fleet.wire.messages import Clash, Envelope, Heartbeat

SERVICE = "name"
LOOK_EVERY = 5.0  # seconds between looks at a name that another computer holds
SHOWN_FOR = 90.0  # seconds that the holder of a name shows what the silent one told


class Namesake:
    """The service `name`, and the message behind it."""

    look_every = LOOK_EVERY

    def __init__(self, ground: Ground, name: Name, board: Board) -> None:
        self._ground = ground
        self._name = name
        self._board = board
        self._until = 0.0

    def look(self, found: tuple[Envelope, Heartbeat] | None, now: float) -> Claim:
        """Judge the heartbeat under this name."""
        claim = self._name.look(found, now)
        if claim is not Claim.FREE:
            self._board.show(SERVICE, "down", self.reason(claim))
        elif now >= self._until:
            self._board.hide(SERVICE)
        return claim

    def reason(self, claim: Claim) -> str:
        """Say why this computer keeps silent."""
        me, holder = self._ground.me, self._name.holder
        if claim is Claim.WAIT:
            return f"a computer called {me} was here a moment ago: looking whether it still is"
        host = f" ({holder.host})" if holder and holder.host else ""
        mend = "give one of them another name ([computer] name in config.toml)"
        return f"another computer of the fleet{host} is called {me} too: {mend}"

    def to_send(self, claim: Claim) -> list[Parcel]:
        """Give the message to whoever holds the name."""
        ground, holder = self._ground, self._name.holder
        if claim is not Claim.TAKEN or holder is None:
            return []
        body = Clash(fresh=self._name.fresh_for(holder, clock()), host=ground.settings.computer.host)
        blob, key = ground.seal.seal(ground.me, body), ground.keys.messages(ground.me)
        return [Parcel(("XADD", key, "MAXLEN", "~", MESSAGES_LENGTH, "*", "m", blob))]

    def told(self, host: str) -> None:
        """Another computer has this name too, and keeps silent."""
        self._until = clock() + SHOWN_FOR
        where = f" ({host})" if host else ""
        reason = f"another computer{where} has this computer's name too, and keeps silent: rename one of them"
        self._board.show(SERVICE, "down", reason)

    def expire(self, now: float) -> None:
        """Show no more what nobody tells any more."""
        if self._until and now >= self._until:
            self._until = 0.0
            self._board.hide(SERVICE)
