"""The sync process: the loop that watches this computer, commands, and the other computers where there is a fleet.

The main thread is that loop. The two fail apart: whatever becomes of the fleet, this computer's own view goes on;
without Redis in the settings nothing of the fleet is imported. Here, and nowhere else, the parts are put together.
"""

from __future__ import annotations

import logging
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from teleclaude.cache.cache_client import CacheClient
from teleclaude.core import log as logs
from teleclaude.core.errors import NotFound, SettingsError, TeleclaudeError
from teleclaude.core.lifeline import Lifeline
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.paths import Places, places
from teleclaude.core.records import EVERYWHERE, Kind, Service
from teleclaude.core.request_wire import OutputEndFrame, OutputFrame
from teleclaude.core.requests import Outcome, Request, failed
from teleclaude.core.settings import Settings, load_in_force
from teleclaude.core.thread_group import ThreadGroup, fatal
from teleclaude.hooks.hook_files import refresh_script
from teleclaude.sync.attention.attention_service import AttentionService
from teleclaude.sync.attention.screens import Screens
from teleclaude.sync.cache_writer import CacheWriter
from teleclaude.sync.commands.actions import Actions
from teleclaude.sync.commands.dispatch import Dispatch
from teleclaude.sync.commands.executor import Executor
from teleclaude.sync.commands.live_output import Audience, LiveScreens
from teleclaude.sync.commands.pane_screens import PaneScreens
from teleclaude.sync.commands.session_panes import SessionPanes
from teleclaude.sync.journal_file import JournalFile
from teleclaude.sync.local_loop import LocalLoop
from teleclaude.sync.own_records import OwnRecords
from teleclaude.sync.projects.project_service import ProjectService
from teleclaude.sync.sessions.agents.state_files import StateFiles

if TYPE_CHECKING:
    from teleclaude.sync.fleet.service import FleetService

log = logging.getLogger(__name__)

JOURNAL_WITHIN = 1.0  # seconds for which the end waits until it is kept which sessions run


class SyncProcess:
    """All of the process but its start."""

    def __init__(self, place: Places, settings: Settings, lifeline: Lifeline) -> None:
        self._place, self._settings, self._lifeline = place, settings, lifeline
        self.client = CacheClient(place)
        self.writer = CacheWriter(self.client)
        self.own = OwnRecords(settings.computer.name, self.writer.submit)
        self.writer.add_provider(self.own.everything)
        self._threads = ThreadGroup()
        self.projects = ProjectService(self.own.computer, settings.projects, self._threads)
        self._journal_file = JournalFile(place.journal_of_sessions)
        spool, state_files = place.hooks / "spool", StateFiles(self._threads)
        self.local = LocalLoop(
            settings, self._tmux_socket(), self.own, self.projects, spool, state_files, self._journal_file.journal()
        )
        self.attention = AttentionService(
            self.own,
            Screens(lambda: self.local.tmux, place.clients_folder),
            place.told_file,
            self._threads,
            on_change=self.local.changed,
            route=lambda notices: self._fleet.notify(notices) if self._fleet else False,
            key_in_tmux=self.local.last_key,
        )
        panes = SessionPanes(self.local, self.own, self.writer)
        self.screens = PaneScreens(panes)
        self.live_output = LiveScreens(self._tell_screen, self.local.watch_output)
        self.actions = Actions(panes, settings, self.attention.tell_here)
        self.executor = Executor(self.actions)
        self.dispatch = Dispatch(
            place.requests_socket,
            self.own.epoch,
            is_ours=lambda request: request.computer in {self.own.computer, EVERYWHERE},
            run=self._run_here,
            hand_on=self._hand_on,
            take_interest=self._take_interest,
            take_watched=self._take_watched,
            counters=lambda: self._fleet.counters if self._fleet else {},
        )
        self._fleet: FleetService | None = None
        self._broken: list[Service] = []
        self._interest: dict[str, list[Kind]] = {}
        self._watched: frozenset[tuple[str, str]] = frozenset()
        self._connect_parts()

    def _connect_parts(self) -> None:
        self.local.on_output = self.live_output.wrote
        self.local.services = self._services
        self.local.answers.is_anybody_there = self._may_be_answered

    def _tmux_socket(self) -> str:
        return self._place.tmux_socket or self._settings.tmux.socket

    def stop(self, *_: Any) -> None:
        """End `run`; also a signal handler."""
        self.local.stop()

    def ask_reload(self, *_: Any) -> None:
        """Take the settings anew, soon; also a signal handler."""
        self.local.call(self._reload)

    def run(self) -> None:
        """Work until stopped."""
        self._threads.start("writer", self.writer.run)
        journal = self._threads.start("journal", self._journal_file.run)
        self._threads.start("cache's end", self.writer.watch_cache, self.client.hold)
        self._threads.start("live output", self.live_output.run, self.screens.now)
        self.attention.use(self._settings.notify)
        self.attention.start()
        self.dispatch.start(self._threads)
        self._refresh_hooks()
        self._set_fleet()
        self._lifeline.ready()
        self.local.run(self._lifeline.beat)
        self._journal_file.stop()
        journal.join(JOURNAL_WITHIN)
        self.dispatch.stop()
        if self._fleet:
            self._fleet.stop()
        self.attention.stop()
        self.live_output.stop()
        self.writer.stop()

    def _refresh_hooks(self) -> None:
        """Where hooks are installed, have the script that they run as this version has it."""
        try:
            refresh_script(self._place.hooks)
        except (TeleclaudeError, OSError) as error:
            log.warning("hooks run the script of an earlier version: %s", error)

    # Requests and interest.

    def _run_here(self, request: Request) -> Outcome | None:
        outcome = self.executor.run(request)
        fleet = self._fleet
        if fleet and fleet.is_reachable and outcome.status == "ok" and request.computer == EVERYWHERE:
            fleet.submit(request)  # a refresh: it tells how that ended, once what clients look at is there
            return None
        return outcome

    def _take_watched(self, watched: frozenset[tuple[str, str]]) -> None:
        self._watched = watched
        self.live_output.watch("here", [key for name, key in watched if name == self.own.computer])
        if self._fleet:
            self._fleet.watch_changed()

    def _tell_screen(self, audience: Audience, session_id: str, found: LiveScreen | TeleclaudeError) -> None:
        if audience == "fleet":
            if self._fleet:
                self._fleet.output(session_id, found)
        elif isinstance(found, LiveScreen):
            self.dispatch.emit(OutputFrame(self.own.computer, session_id, found))
        else:
            self.dispatch.emit(OutputEndFrame(self.own.computer, session_id, found.code, found.message))

    def _hand_on(self, request: Request) -> None:
        if self._fleet:
            self._fleet.submit(request)
        else:
            unknown = NotFound(f"there is no computer {request.computer!r} in this view", field="computer")
            self.dispatch.finish(failed(request.id, unknown))

    def _take_interest(self, wants: dict[str, list[Kind]]) -> None:
        self._interest = wants
        if self._fleet:
            self._fleet.interest_changed()

    def _may_be_answered(self) -> bool:
        """Tell whether somebody looks at this computer's sessions who may answer what an agent asks."""
        looks_here = {*self._interest.get(self.own.computer, ()), *self._interest.get(EVERYWHERE, ())}
        return "sessions" in looks_here or (self._fleet is not None and self._fleet.may_be_answered())

    # The other computers, of which there may be none.

    def _set_fleet(self) -> None:
        """Be in the fleet that the settings name, or in none. Its faults are told as a service, and end nothing."""
        try:
            self._broken = []
            if self._settings.redis.url and self._fleet is None:
                self._fleet = self._new_fleet()
            elif self._fleet:
                self._fleet.reload(self._settings)
        except Exception as error:  # this computer's own view goes on without the others
            log.exception("the fleet cannot be joined")
            self._broken = [Service(name="redis", state="down", reason=str(error))]
        self.local.changed()

    def _new_fleet(self) -> FleetService:
        # Imported only here: Redis costs 20 MB and 100 ms, and who has no fleet has no use for it.
        from teleclaude.sync.fleet.service import FleetService

        fleet = FleetService(
            self._place,
            self._settings,
            self.own,
            self.writer,
            self.dispatch,
            self.executor.run,
            lambda: self._interest,
            lambda: self._watched,
            self.local.changed,
            partial(self.live_output.watch, "fleet"),
            self.attention,
        )
        fleet.start()
        return fleet

    def _services(self) -> list[Service]:
        fleet = self._fleet.services() if self._fleet else []
        return [*fleet, *self._broken, *self.attention.services()]

    # Settings.

    def _reload(self) -> None:
        try:
            settings = load_in_force(self._place)
        except SettingsError as error:
            log.error("the settings stay as they were: %s", error.message)  # noqa: TRY400  (the message says it all)
            self._lifeline.settings_taken(error.message)
            return
        logging.getLogger().setLevel(settings.log.level.upper())
        self._settings = self.actions.settings = settings
        self.local.reload(settings, self._tmux_socket())
        self.attention.use(settings.notify)
        self._set_fleet()
        log.info("took the settings anew")
        self._lifeline.settings_taken()


def main() -> None:
    """Run the sync process until SIGTERM, or until the supervisor is gone."""
    os.umask(0o077)
    lifeline = Lifeline.from_environment()
    place = places()
    settings = load_in_force(place)
    logs.set_up("sync", settings.log.level)
    with fatal("the sync process"):
        process = SyncProcess(place, settings, lifeline)
        signal.signal(signal.SIGTERM, process.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor ends us in order
        signal.signal(signal.SIGHUP, process.ask_reload)
        lifeline.watch(process.stop)
        process.run()
    logging.shutdown()
    # Not by returning: what multiprocessing does at exit (each proxy says goodbye) waits for a cache that is stopped.
    os._exit(0)


if __name__ == "__main__":
    main()
