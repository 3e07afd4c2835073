"""Puts an engine together. The first module of this package that imports Redis and NaCl."""

from __future__ import annotations

from teleclaude.core.files import private_folder
from teleclaude.core.paths import Places
from teleclaude.core.settings import Settings
from teleclaude.sync.fleet.board import Board
from teleclaude.sync.fleet.context import Desk, Ground, RunLocal, Writer
from teleclaude.sync.fleet.loop import Engine
from teleclaude.sync.fleet.owner.journal import Journal
from teleclaude.sync.fleet.redis.key_names import KeyNames
from teleclaude.sync.fleet.service import home_of
from teleclaude.sync.fleet.wire.sealing import Seal
from teleclaude.sync.own_records import OwnRecords


def build_engine(
    place: Places,
    settings: Settings,
    keys: list[bytes],
    own: OwnRecords,
    writer: Writer,
    desk: Desk,
    run_local: RunLocal,
    board: Board,
) -> Engine:
    """Make an engine for the fleet of the settings, ready to start. Raises sqlite3.Error, OSError, Refused."""
    private_folder(place.state)
    journal = Journal(place.state / "journal.db")
    journal.prune()
    seal = Seal(own.computer, own.epoch, journal.next_generation(), keys)
    ground = Ground(own, writer, desk, KeyNames(settings.redis.prefix), seal, settings)
    return Engine(ground, journal, home_of(place.state), run_local, board)
