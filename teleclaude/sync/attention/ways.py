"""From the rules of the settings to what tells: one outlet for each rule."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from teleclaude.core.client_places import TerminalClient
from teleclaude.core.notify_settings import NotifyRule
from teleclaude.core.records import Service
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.core.tmux_clients import AttachedClient
from teleclaude.sync.attention.desktop import Desktop, has_desktop
from teleclaude.sync.attention.lookers import used_last
from teleclaude.sync.attention.notify_rules import matching
from teleclaude.sync.attention.outlets import NotDelivered, Outlet
from teleclaude.sync.attention.screens import Screens, write_to
from teleclaude.sync.attention.user_command import run_command
from teleclaude.sync.attention.wording import Words, sequence_of, terminal_bytes, words_for


@dataclass(frozen=True)
class Way:
    """A rule, and what it tells by."""

    rule: NotifyRule
    outlet: Outlet


class Ways:
    """All rules in force. `on_change` is called when `services` changed, from any thread; it must be quick."""

    def __init__(self, screens: Screens, threads: ThreadGroup, on_change: Callable[[], None]) -> None:
        self._screens, self._threads, self._on_change = screens, threads, on_change
        self._desktop = Desktop(threads)
        self._ways: list[Way] = []

    def use(self, rules: Iterable[NotifyRule]) -> None:
        """Take other rules; what waits by the old ones is dropped. The same ones go on."""
        wanted = list(rules)
        if wanted == [way.rule for way in self._ways]:
            return
        self.stop()
        self._ways = [Way(rule, self._outlet(number, rule)) for number, rule in enumerate(wanted)]

    def stop(self) -> None:
        """Tell nothing more."""
        for way in self._ways:
            way.outlet.stop()

    def tell(self, notices: list[SessionNotice], now: time.struct_time) -> None:
        """Tell notices by each rule that is for them. `now`: local time. Never waits."""
        for way in self._ways:
            chosen = matching(way.rule, notices, now.tm_hour * 60 + now.tm_min, os.path.expanduser("~"))
            for words in words_for(chosen):
                way.outlet.put(words)

    def services(self) -> list[Service]:
        """What does not work, for people."""
        found = [f"{way.outlet.name}: {way.outlet.trouble}" for way in self._ways if way.outlet.trouble]
        return [Service(name="notify", state="down", reason="; ".join(found))] if found else []

    def _outlet(self, number: int, rule: NotifyRule) -> Outlet:
        return Outlet(f"notify[{number}] ({rule.by})", self._deliver(rule), self._threads, self._on_change)

    def _deliver(self, rule: NotifyRule) -> Callable[[Words], None]:
        match rule.by:
            case "desktop":
                return self._desktop.show
            case "command":
                return partial(run_command, rule.command)
            case "webhook":
                return partial(_post, rule)
            case "terminal":
                return partial(self._by_terminal, rule)
            case _:
                return partial(self._as_suits, rule)

    def _by_terminal(self, rule: NotifyRule, words: Words) -> None:
        used = self._used_last()
        if used is not None:  # else nobody is there, and nothing is wrong
            write_to(used.tty, terminal_bytes(words, _sequence(rule, used)))

    def _as_suits(self, rule: NotifyRule, words: Words) -> None:
        """By the terminal that is used, if it shows notifications; else by the desktop; else by the terminal's bell."""
        used = self._used_last()
        is_shown = used is not None and _sequence(rule, used) != "bell"
        if not is_shown and has_desktop(os.environ):
            try:
                self._desktop.show(words)
            except NotDelivered:
                if used is None:
                    raise
            else:
                return
        if used is not None:
            write_to(used.tty, terminal_bytes(words, _sequence(rule, used)))

    def _used_last(self) -> AttachedClient | TerminalClient | None:
        return used_last(self._screens.attached(), self._screens.terminals())


def _sequence(rule: NotifyRule, used: AttachedClient | TerminalClient) -> str:
    return sequence_of(used.term, used.term_type) if rule.sequence == "auto" else rule.sequence


def _post(rule: NotifyRule, words: Words) -> None:
    from teleclaude.sync.attention.webhook import post  # HTTP and TLS cost 25 ms and 3 MB, and few have a webhook

    post(rule, words)
