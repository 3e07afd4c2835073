"""The command line. Who types a command waits for its imports, so those of click are as few as can be."""

from teleclaude.core.lean import import_click

import_click()
