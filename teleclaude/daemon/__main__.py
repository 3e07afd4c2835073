"""The daemon's command line: `run` in the foreground (the default), `start` in the background, `stop`, `reload`.

Read by hand, for the supervisor shall be small.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from teleclaude import __version__
from teleclaude.core import log as logs
from teleclaude.core.errors import TeleclaudeError, explained
from teleclaude.core.files import write_atomic
from teleclaude.core.paths import Places, places
from teleclaude.core.text import visible
from teleclaude.daemon import folders
from teleclaude.daemon.lock import HELD, AlreadyRuns, Lock
from teleclaude.daemon.main_socket import MainSocket

if TYPE_CHECKING:
    from teleclaude.daemon.relay import Relay
    from teleclaude.daemon.settings_in_force import SettingsInForce
    from teleclaude.daemon.supervisor import Ended

USAGE = """usage: teleclaude-daemon [run | start | stop | reload | --version | --help]

  run      run in the foreground until Ctrl-C or SIGTERM (without a word: this)
  start    start in the background, unless one runs; return when it answers
  stop     end the daemon; tmux sessions stay
  reload   read the settings again"""


_KEY_SIZE = 32


def main() -> None:
    """Run the command line; exit 1 with one sentence for what cannot be done, 2 for wrong words."""
    words = sys.argv[1:]
    word = words[0] if words else "run"
    if words in (["--help"], ["-h"]):
        print(USAGE)  # noqa: T201  (the user asked)
    elif words == ["--version"]:
        print(f"teleclaude {__version__}")  # noqa: T201  (the user asked)
    elif len(words) > 1 or word not in {"run", "background", "start", "stop", "reload"}:
        _say(USAGE)
        sys.exit(2)
    else:
        sys.exit(_do(word))


def _do(word: str) -> int:
    os.umask(0o077)
    try:
        place = places()
        if word in {"run", "background"}:
            run(place, background=word == "background")
        else:
            from teleclaude.daemon import lifecycle  # noqa: PLC0415  (not in the supervisor)

            _say({"start": lifecycle.start, "stop": lifecycle.stop, "reload": lifecycle.reload}[word](place))
    except AlreadyRuns as error:
        _say(str(error))
        return HELD if word == "background" else 1
    except TeleclaudeError as error:
        _say(str(error))
        return 1
    except OSError as error:
        _say(explained(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(place: Places, *, background: bool = False, how: Mapping[str, Sequence[str]] | None = None) -> None:
    """Be the daemon, until told to stop. `how`: command lines of the workers, by name, in place of the usual.

    Raises AlreadyRuns, Refused, SettingsError.
    """
    from teleclaude.daemon.relay import Relay  # noqa: PLC0415  (not for `start`)
    from teleclaude.daemon.settings_in_force import SettingsInForce  # noqa: PLC0415
    from teleclaude.daemon.supervisor import Ended  # noqa: PLC0415

    folders.prepare(place)
    settings = SettingsInForce(place)
    relay = Relay(file=place.log_file if background else None)
    while _run_in(place, settings, relay, how) is Ended.LOST:
        folders.prepare(place)
    logging.getLogger("teleclaude").info("stopped")


def _run_in(place: Places, settings: SettingsInForce, relay: Relay, how: Mapping[str, Sequence[str]] | None) -> Ended:
    """Be the daemon in its folders, until told to stop, or until they are gone."""
    from teleclaude.daemon.supervisor import Ended, Ground, Supervisor  # noqa: PLC0415  (not for `start`)

    lock = Lock.acquire(place.lock_file)
    main: MainSocket | None = None
    try:
        ground = Ground(place, lock, main := MainSocket(place.main_socket))
        ended = Ended.RENAMED
        while ended is Ended.RENAMED:
            folders.clear(place)
            settings.give()
            logs.set_up("supervisor", settings.settings.log.level, relay)
            write_atomic(place.key_file, os.urandom(_KEY_SIZE), durable=False)
            logging.getLogger("teleclaude").info("teleclaude %s, pid %d", __version__, os.getpid())
            ended = Supervisor(settings, ground, relay, how).run()
        return ended
    finally:
        if lock.is_in_place():  # else they are another daemon's by now
            folders.clear(place)
        if main is not None:
            main.close()
        lock.release()


def _say(text: str) -> None:
    sys.stderr.write("\n".join(visible(line) for line in text.splitlines()) + "\n")


if __name__ == "__main__":
    main()
