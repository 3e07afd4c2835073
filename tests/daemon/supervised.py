"""`python -m tests.daemon.supervised JSON`: the daemon in the foreground, with other workers' command lines."""

from __future__ import annotations

import os
import sys

import msgspec

from teleclaude.core.errors import TeleclaudeError
from teleclaude.core.paths import places
from teleclaude.daemon.__main__ import run


def main() -> None:
    """Run until told to stop."""
    os.umask(0o077)
    try:
        run(places(), how=msgspec.json.decode(sys.argv[1], type=dict[str, list[str]]))
    except TeleclaudeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
